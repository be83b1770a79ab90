// The words of a query, marked in texts.
const COMMON = new Set("a about an and are as at be by can did do does for from had has have how i in is it its me my not of on or s than that the their there they this to was were what when where which who whose why will with you your".split(" "));
const ENDINGS = /(?:ations?|ingly|edly|ness|ments?|ings?|ies|ied|ers?|est|ed|es|ly|s|e|y)$/;

/** A word without its usual English ending: near enough to show why a document was found. */
function stem(word) {
  const plain = word.toLowerCase();
  const stripped = plain.replace(ENDINGS, "");
  return stripped.length < 3 ? plain : stripped;
}

const wordsOf = (text) => text.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];

/** The stems of a query's words; common words count only where there are no others. */
export function stemsOf(query) {
  const words = wordsOf(query), telling = words.filter((word) => !COMMON.has(word.toLowerCase()));
  return new Set((telling.length ? telling : words).map(stem));
}

/** A text as nodes, with the words of the query in <mark>. */
export function marked(text, stems) {
  const nodes = [];
  let from = 0;
  if (stems.size) {
    for (const found of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
      if (!stems.has(stem(found[0]))) continue;
      const mark = document.createElement("mark");
      mark.textContent = found[0];
      nodes.push(text.slice(from, found.index), mark);
      from = found.index + found[0].length;
    }
  }
  return [...nodes, text.slice(from)];
}
