import { writeFile } from 'node:fs/promises';
import encodeQr from 'qr';

const [WIDTH, HEIGHT, MODULE] = [640, 480, 8];
const [WHITE, BLACK, GREY] = [235, 16, 128];

/**
 * What a camera sees that is held before a label, as Chromium takes it for one (`--use-file-for-fake-video-capture`):
 * a YUV4MPEG2 file of one frame, which is played again and again.
 */
export async function filmLabel(file: string, text: string): Promise<void> {
  const matrix = encodeQr(text, 'raw', { ecc: 'medium', border: 4 });
  const size = matrix.length * MODULE;
  const [left, top] = [Math.floor((WIDTH - size) / 2), Math.floor((HEIGHT - size) / 2)];
  const luma = Buffer.alloc(WIDTH * HEIGHT, WHITE);
  for (const [row, line] of matrix.entries())
    for (const [column, isDark] of line.entries())
      for (let y = 0; isDark && y < MODULE; y++) {
        const start = (top + row * MODULE + y) * WIDTH + left + column * MODULE;
        luma.fill(BLACK, start, start + MODULE);
      }
  const chroma = Buffer.alloc((WIDTH * HEIGHT) / 2, GREY);
  const head = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`;
  await writeFile(file, Buffer.concat([Buffer.from(`${head}FRAME\n`), luma, chroma]));
}
