/** What one call did to the devices that it named; `failed` says why for each that it could not change. */
export type Changed = { changed: string[]; failed: { device: string; code: string; message: string }[] };
