/** SIP final statuses as Q.850 causes (RFC 3398 section 8.2.6.1), for the Reason header (RFC 3326) that CDRs keep. */
const causes: Record<number, [number, string]> = {
  404: [1, 'Unallocated number'],
  408: [102, 'Recovery on timer expiry'],
  480: [18, 'No user responding'],
  486: [17, 'User busy'],
  488: [127, 'Interworking, unspecified'],
  600: [17, 'User busy'],
  603: [21, 'Call rejected'],
};

export function q850Reason(status: number): string {
  const [cause, text] =
    causes[status] ?? (status >= 500 ? [41, 'Temporary failure'] : [31, 'Normal, unspecified']);
  return `Q.850;cause=${cause};text="${text}"`;
}
