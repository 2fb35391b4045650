import { z } from 'zod';
import { code, table } from './document.ts';

type Json = {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly description?: string;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly items?: Json;
  readonly anyOf?: readonly Json[];
  readonly oneOf?: readonly Json[];
  readonly additionalProperties?: Json | boolean;
};

type Row = readonly [name: string, type: string, meaning: string];

/** The fields of a schema as a Markdown table: dotted names, `?` after what may be absent. */
export function fieldTable(schema: z.ZodType, io: 'input' | 'output'): string {
  const json = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  const rows = fields(json, '');
  return rows.length === 0 ? 'Nothing.' : table(['field', 'type', 'meaning'], rows);
}

function fields(json: Json, prefix: string): Row[] {
  const variants = json.anyOf ?? json.oneOf;
  if (variants !== undefined) return variants.flatMap((variant) => fields(variant, prefix));
  return Object.entries(json.properties ?? {}).flatMap(([key, field]) => {
    const optional = json.required?.includes(key) ? '' : '?';
    const name = `${prefix}${key}`;
    const row: Row = [code(`${name}${optional}`), typeText(field), field.description ?? ''];
    const inner = field.items === undefined ? fields(field, `${name}.`) : fields(field.items, `${name}[].`);
    return [row, ...inner];
  });
}

function typeText(json: Json): string {
  if (json.const !== undefined) return code(JSON.stringify(json.const));
  if (json.enum !== undefined) return json.enum.map((value) => code(String(value))).join(', ');
  const variants = json.anyOf ?? json.oneOf;
  if (variants !== undefined) return [...new Set(variants.map(typeText))].join(' or ');
  if (json.type === 'array') return `array of ${typeText(json.items ?? {})}`;
  const values = json.additionalProperties;
  if (json.type === 'object' && typeof values === 'object') return `object of ${typeText(values)} by name`;
  if (json.format !== undefined) return json.format;
  return json.type ?? 'any';
}
