export function manPages(): ReadonlyMap<string, string>
