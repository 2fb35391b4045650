import { expect, test } from 'vitest';
import { mergeExpositions } from './merge-expositions.ts';

const text = (count: number) => `# HELP signet_a_total What is counted
# TYPE signet_a_total counter
signet_a_total{account="acme"} ${count}
# HELP signet_b_seconds What is timed
# TYPE signet_b_seconds histogram
signet_b_seconds_bucket{le="1"} 3
signet_b_seconds_bucket{le="+Inf"} 4
signet_b_seconds_count 4
`;

test('the metrics of several workers stand together by family, told apart by worker', () => {
  const merged = mergeExpositions(
    new Map([
      [1, text(5)],
      [2, text(7)],
    ]),
  );
  expect(merged.split('\n')).toEqual([
    '# HELP signet_a_total What is counted',
    '# TYPE signet_a_total counter',
    'signet_a_total{worker="1",account="acme"} 5',
    'signet_a_total{worker="2",account="acme"} 7',
    '# HELP signet_b_seconds What is timed',
    '# TYPE signet_b_seconds histogram',
    'signet_b_seconds_bucket{worker="1",le="1"} 3',
    'signet_b_seconds_bucket{worker="1",le="+Inf"} 4',
    'signet_b_seconds_count{worker="1"} 4',
    'signet_b_seconds_bucket{worker="2",le="1"} 3',
    'signet_b_seconds_bucket{worker="2",le="+Inf"} 4',
    'signet_b_seconds_count{worker="2"} 4',
    '',
  ]);
});
