import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** The doc comment of every exported constant below a folder (given from the repository's top), by its name. */
export function docComments(folder: string): Map<string, string> {
  const directory = join(import.meta.dirname, '..', '..', folder);
  const comments = new Map<string, string>();
  for (const name of readdirSync(directory).filter((name) => name.endsWith('.ts'))) {
    const text = readFileSync(join(directory, name), 'utf8');
    const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
    for (const statement of source.statements.filter(ts.isVariableStatement)) {
      const [comment] = ts.getJSDocCommentsAndTags(statement).filter(ts.isJSDoc);
      const [declaration] = statement.declarationList.declarations;
      const said = comment === undefined ? undefined : ts.getTextOfJSDocComment(comment.comment);
      if (said !== undefined && declaration !== undefined) {
        comments.set(declaration.name.getText(source), said.replace(/\{@link (\w+)\s*\}/g, '`$1`'));
      }
    }
  }
  return comments;
}
