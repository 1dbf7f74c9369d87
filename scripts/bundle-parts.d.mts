export const root: string
export function buildId(): string
