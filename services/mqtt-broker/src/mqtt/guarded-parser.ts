import type { Client } from 'aedes';

type Parser = {
  on(event: 'packet', listener: (packet: { length?: number }) => void): void;
  parse(chunk: Buffer): number;
  packet: { length: number };
};

/**
 * Ends a session whose packet is larger than allowed, as soon as its fixed header says so: the octets of the packet are
 * never collected. `tooLarge` is told the size.
 */
export function guardPacketSize(client: Client, maxBytes: number, tooLarge: (bytes: number) => void): void {
  const parser = (client as unknown as { _parser: Parser })._parser;
  const parse = parser.parse.bind(parser);
  parser.parse = (chunk) => {
    const rest = parse(chunk);
    if (parser.packet.length > maxBytes) tooLarge(parser.packet.length);
    return rest;
  };
}
