import { readFileSync } from 'node:fs';

/**
 * Prints "N passed, N failed" from vitest's JSON report and the outcome of the steps around it, and exits with 1 if
 * anything failed. A test file that fails before its first test, a run that fails without a failed test (or leaves no
 * report) and a failed check count as one failure each.
 */
const [file, testsFailed, checksFailed] = process.argv.slice(2);

const report = readReport();
const brokenFiles = report.testResults.filter(
  (result) => result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
);
const counted = report.numFailedTests + brokenFiles.length;
const failed = (counted === 0 ? Number(testsFailed) : counted) + Number(checksFailed);
const nothingRan = failed === 0 && report.numPassedTests === 0 ? 1 : 0;

process.stdout.write(`${report.numPassedTests} passed, ${failed + nothingRan} failed\n`);
process.exitCode = failed + nothingRan === 0 ? 0 : 1;

function readReport() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}
