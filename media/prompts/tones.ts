/** What a caller hears of the network itself: a country's tone plan (ITU-T E.180 supplement 2). */
export type TonePlan = 'FR' | 'UK' | 'US' | 'DE' | 'ES';

export interface Tone {
  plan: TonePlan;
  kind: 'ringing' | 'busy' | 'congestion';
}
