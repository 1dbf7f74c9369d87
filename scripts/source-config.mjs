/** The package.json with everything oclif loads taken from src/ instead of dist/. */
export function sourceOf(pjson) {
  return {
    ...pjson,
    oclif: JSON.parse(
      JSON.stringify(pjson.oclif)
        .replaceAll('./dist/', './src/')
        .replaceAll(/(\.\/src\/hooks\/[\w-]+)\.js/g, '$1.ts'),
    ),
  }
}
