export function schemaTexts(): Map<string, string>
