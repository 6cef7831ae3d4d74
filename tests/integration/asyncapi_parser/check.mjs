// Prints what the official parser has to say of the AsyncAPI document on standard input, as JSON.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify({
  messages: document?.allMessages().all().map((message) => message.name()) ?? null,
  diagnostics: diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path, message })),
}));
