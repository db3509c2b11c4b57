/** As much SDP as the media benches need: G.711 A-law and keys as telephones offer them, on a port of the loopback interface. */
export function offerOf(port: number): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n`;
}

export function answeredPort(description: string): number {
  return Number(/m=audio (\d+)/u.exec(description)?.[1]);
}
