// Writes docs/api.md from the docstrings of what src/index.ts exports; with --check, fails if it isn't what they say.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { format, resolveConfig } from 'prettier'
import ts from 'typescript'

const ENTRY = 'src/index.ts'
const PAGE = 'docs/api.md'
const HEAD = `# API

What \`import … from 'ixy-ts'\` gives: how an app of one's own is written stands in [the tour](tour.md#7-an-app), and
[examples/](examples) has five. This page is made from the sources by \`make api\`.
`

const { options } = ts.convertCompilerOptionsFromJson(
  JSON.parse(readFileSync('tsconfig.json', 'utf8')).compilerOptions,
  '.',
)
const program = ts.createProgram([ENTRY], options)
const checker = program.getTypeChecker()
const entry = program.getSourceFile(ENTRY)

/** The comment in front of a declaration, without its stars. */
function docOf(node) {
  const text = node.getSourceFile().text
  // One that is followed by an empty line is about the file.
  const comment = (ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [])
    .filter(({ end }) => !/^\s*\n\s*\n/.test(text.slice(end, node.getStart())))
    .map(({ pos, end }) => text.slice(pos, end))
    .findLast((range) => range.startsWith('/**'))
  return (comment ?? '')
    .replace(/^\/\*\*\s?|\s*\*\/$/g, '')
    .replace(/^[ \t]*\* ?/gm, '')
    .trim()
}

/** The same as a comment within a declaration. */
function commentOf(node) {
  const doc = docOf(node)
  if (doc === '') return ''
  return doc.includes('\n') ? `/**\n * ${doc.replaceAll('\n', '\n * ')}\n */\n` : `/** ${doc} */\n`
}

/** The text of a declaration up to its body or first value. */
function headOf(node, end) {
  return node
    .getText()
    .slice(0, end - node.getStart())
    .trim()
}

const has = (node, ...kinds) => node.modifiers?.some(({ kind }) => kinds.includes(kind)) ?? false
const { PrivateKeyword, ProtectedKeyword } = ts.SyntaxKind

/** A member of a class as a declaration; '' for one that isn't for users. */
function memberOf(member, members) {
  if (has(member, PrivateKeyword, ProtectedKeyword) || docOf(member).startsWith('@internal')) return ''
  if (ts.isConstructorDeclaration(member) || ts.isMethodDeclaration(member))
    return commentOf(member) + headOf(member, member.body?.pos ?? member.end).replace(/^override /, '')
  if (!ts.isPropertyDeclaration(member) && !ts.isGetAccessor(member)) return ''
  const name = member.name.getText()
  const settable = members.some((other) => ts.isSetAccessor(other) && other.name.getText() === name)
  const readonly = ts.isGetAccessor(member) ? !settable : has(member, ts.SyntaxKind.ReadonlyKeyword)
  const type = member.type?.getText() ?? checker.typeToString(checker.getTypeAtLocation(member))
  return `${commentOf(member)}${readonly ? 'readonly ' : ''}${name}: ${type}`
}

function declarationOf(node) {
  const bare = (text) => text.replace(/^export (default )?/, '')
  if (ts.isVariableDeclaration(node)) return bare(node.parent.parent.getText())
  if (ts.isFunctionDeclaration(node)) return bare(headOf(node, node.body.pos))
  if (!ts.isClassDeclaration(node)) return bare(node.getText())
  const members = node.members.map((member) => memberOf(member, node.members)).filter((text) => text !== '')
  return `${bare(headOf(node, node.members.pos))}\n${members.join('\n')}\n}`
}

function partOf(specifier) {
  const symbol = checker.getAliasedSymbol(checker.getSymbolAtLocation(specifier.name))
  const [node] = symbol.declarations
  const doc = docOf(ts.isVariableDeclaration(node) ? node.parent.parent : node)
  if (doc === '') throw new Error(`${symbol.name} has no docstring`)
  return `### ${specifier.name.text}\n\n${doc}\n\n\`\`\`ts\n${declarationOf(node)}\n\`\`\`\n`
}

/** The line comment that stands over a statement. */
function headingOf(statement) {
  const comments = ts.getLeadingCommentRanges(entry.text, statement.getFullStart()) ?? []
  const lines = comments
    .map(({ pos, end }) => entry.text.slice(pos, end))
    .filter((text) => text.startsWith('//'))
  return lines.map((text) => `## ${text.slice(2).trim()}\n`)
}

const parts = entry.statements.flatMap((statement) => [
  ...headingOf(statement),
  ...statement.exportClause.elements.map(partOf),
])
const page = await format([HEAD, ...parts].join('\n'), {
  ...(await resolveConfig(path.resolve(PAGE))),
  parser: 'markdown',
})

if (!process.argv.includes('--check')) writeFileSync(PAGE, page)
else if (readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} isn't what the docstrings say: run make api`)
  process.exitCode = 1
}
