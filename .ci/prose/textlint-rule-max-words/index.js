// A sentence has at most `max` words. What stands in code counts as one word.
const { splitAST, SentenceSplitterSyntax } = require("sentence-splitter");

module.exports = function maxWords(context, { max }) {
  const { Syntax, RuleError, report, getSource } = context;
  function check(node) {
    for (const sentence of splitAST(node).children) {
      if (sentence.type !== SentenceSplitterSyntax.Sentence) continue;
      const text = getSource(sentence)
        .replace(/`[^`]*`/g, "code")
        .replace(/\]\([^)]*\)/g, "]");
      const words = text.split(/\s+/).filter((word) => /\w/.test(word)).length;
      if (words > max) report(sentence, new RuleError(`${words} words in a sentence; ${max} at most`));
    }
  }
  return { [Syntax.Paragraph]: check, [Syntax.TableCell]: check };
};
