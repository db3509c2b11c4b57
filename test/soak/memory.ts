/** Whether memory stays as it is: what a soak's samples say. */
export interface Sample {
  minute: number;
  bytes: number;
}

/** Least squares over the samples, in MiB a minute; not a number with fewer than two. */
export function slopeMiB(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [minute, bytes] = [mean((one) => one.minute), mean((one) => one.bytes)];
  const rise = samples.reduce((sum, one) => sum + (one.minute - minute) * (one.bytes - bytes), 0);
  const run = samples.reduce((sum, one) => sum + (one.minute - minute) ** 2, 0);
  return samples.length < 2 ? Number.NaN : rise / run / 2 ** 20;
}

/** MiB at the end of each quarter. */
export function quartersMiB(samples: readonly Sample[]): number[] {
  return [1, 2, 3, 4].map((quarter) => {
    const sample = samples[Math.ceil((quarter * samples.length) / 4) - 1];
    return Math.round((sample?.bytes ?? Number.NaN) / 2 ** 17) / 8;
  });
}
