// A function that is handed to specialise() is compiled again from its text, so that it sees nothing of its file: this rule finds
// what it would miss there, before it runs.

/** @type {import('eslint').Rule.RuleModule} */
export const specialisedIsClosed = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      foreign: "'{{name}}' isn't there when {{maker}}() is specialised: pass it as a parameter",
      unknown:
        'specialise() gets a function that is declared in the same file, so that it can be seen to be closed',
    },
  },
  create(context) {
    const { sourceCode } = context
    return {
      'CallExpression[callee.name="specialise"]'(call) {
        const [made] = call.arguments
        const maker = declarationOf(sourceCode, made)
        if (maker === null) {
          context.report({ node: made ?? call, messageId: 'unknown' })
          return
        }
        // What is used in it, or deeper, and declared outside.
        for (const reference of sourceCode.getScope(maker.body).through) {
          const { identifier } = reference
          if (reference.isTypeReference === true && reference.isValueReference !== true) continue
          if (identifier.name in globalThis) continue
          const data = { name: identifier.name, maker: maker.id?.name ?? 'this' }
          context.report({ node: identifier, messageId: 'foreign', data })
        }
      },
    }
  },
}

function declarationOf(sourceCode, node) {
  if (node?.type !== 'Identifier') return null
  for (let scope = sourceCode.getScope(node); scope !== null; scope = scope.upper) {
    const definition = scope.set.get(node.name)?.defs[0]
    if (definition !== undefined)
      return definition.node.type === 'FunctionDeclaration' ? definition.node : null
  }
  return null
}
