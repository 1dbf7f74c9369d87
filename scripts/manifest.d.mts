export function manifestText(): Promise<string>
