/** What `{device}`, `{account}` and `{profile}` stand for. */
export type Placeholders = { readonly deviceId: string; readonly account: string; readonly profile: string };

/** The text with its placeholders filled in. */
export function expand(text: string, { deviceId, account, profile }: Placeholders): string {
  return text
    .replaceAll('{device}', deviceId)
    .replaceAll('{account}', account)
    .replaceAll('{profile}', profile);
}

const dnsName = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Whether a pattern is a DNS name once its placeholders are filled in. */
export function isDnsPattern(pattern: string): boolean {
  return dnsName.test(expand(pattern, { deviceId: 'd', account: 'a', profile: 'p' }));
}

/** Whether a DNS name is one that the pattern allows; `*.` stands for exactly one label that is no wildcard itself. */
export function matchesDnsPattern(name: string, pattern: string, placeholders: Placeholders): boolean {
  const wanted = expand(pattern, placeholders).toLowerCase();
  const asked = name.toLowerCase();
  if (!wanted.startsWith('*.')) return asked === wanted;
  const dot = asked.indexOf('.');
  return dot > 0 && asked[0] !== '*' && asked.slice(dot) === wanted.slice(1);
}
