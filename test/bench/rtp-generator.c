/*
 * The telephones of `npm run bench -- relay`: N sockets, 50 RTP packets a second from each, spread evenly over every 20 ms.
 * Says its ports, is told where to send (one port a socket), sends for some seconds, says what came back and how late.
 * The instant of sending travels in the packet; that of arrival is the kernel's, so that this program's own sleep is not
 * counted as the relay's delay.
 *
 *   rtp-generator STREAMS [WHICH OF]
 *                                out: ports P1 P2 ... ; in: SECONDS T1 T2 ... ; out: "warm" after some seconds of sending, from
 *                                which on all is counted, and then one line of JSON
 *
 * With WHICH and OF it sends in every OF-th turn of the machine's clock alone, from the WHICH-th on (counted from 0): several
 * generators then load several relays one after the other, turn by turn, and a machine that is slow for a while is so for all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { PACKET = 172, EVENTS = 512, SPIN_NS = 100000, ON_WIRE_MS = 300, WARM_S = 6, NAP_NS = 5000000 };
static const int64_t turn_ns = 2000000000LL;

static int64_t realtime_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t monotonic_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int streams, epoll, which = 0, of = 1;
static int *sockets;
static uint32_t *delays_us;
static long received, capacity;

/* How much of the time up to an instant was our turn. */
static int64_t own_ns(int64_t now) {
  int64_t into = now % (turn_ns * of) - turn_ns * which;
  return now / (turn_ns * of) * turn_ns + (into < 0 ? 0 : into > turn_ns ? turn_ns : into);
}

static void drain(void) {
  static struct epoll_event events[EVENTS];
  int ready = epoll_wait(epoll, events, EVENTS, 0);
  for (int each = 0; each < ready; each++) {
    unsigned char packet[2048];
    char control[128];
    struct iovec part = {packet, sizeof packet};
    for (;;) {
      struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
      if (recvmsg(events[each].data.fd, &message, MSG_DONTWAIT) < PACKET) break;
      int64_t sent, arrived = realtime_ns();
      memcpy(&sent, packet + PACKET - sizeof sent, sizeof sent);
      for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct timespec stamp;
        if (c->cmsg_type != SCM_TIMESTAMPNS) continue;
        memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
        arrived = stamp.tv_sec * 1000000000LL + stamp.tv_nsec;
      }
      if (received < capacity) delays_us[received++] = arrived > sent ? (arrived - sent) / 1000 : 0;
    }
  }
}

static int ascending(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

/* The delay that one packet in a thousand exceeds, of each two seconds: the middle of all of them. The array is sorted piece by piece. */
static uint32_t middle_p999(void) {
  long piece = 2 * 50L * streams, pieces = received / piece;
  if (pieces == 0) return 0;
  uint32_t *each = malloc(pieces * sizeof *each);
  for (long at = 0; at < pieces; at++) {
    qsort(delays_us + at * piece, piece, sizeof *delays_us, ascending);
    each[at] = delays_us[at * piece + piece * 999 / 1000];
  }
  qsort(each, pieces, sizeof *each, ascending);
  return each[pieces / 2];
}

static void open_sockets(void) {
  printf("ports");
  for (int each = 0; each < streams; each++) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof local;
    int on = 1, fd = sockets[each] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof local) < 0) exit(1);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    getsockname(fd, (struct sockaddr *)&local, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    printf(" %d", ntohs(local.sin_port));
  }
  printf("\n");
  fflush(stdout);
}

int main(int count, char **arguments) {
  streams = count > 1 ? atoi(arguments[1]) : 0;
  if (count > 3) {
    which = atoi(arguments[2]);
    of = atoi(arguments[3]);
  }
  epoll = epoll_create1(0);
  sockets = calloc(streams, sizeof *sockets);
  struct sockaddr_in *targets = calloc(streams, sizeof *targets);
  prctl(PR_SET_TIMERSLACK, 1);
  open_sockets();

  int seconds;
  if (scanf("%d", &seconds) != 1) return 1;
  for (int each = 0; each < streams; each++) {
    int port;
    if (scanf("%d", &port) != 1) return 1;
    targets[each] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  }
  long warm = 50L * WARM_S * streams, total = warm + 50L * seconds * streams, sent = 0;
  capacity = total + total / 10;
  delays_us = malloc(capacity * sizeof *delays_us);
  memset(delays_us, 0, capacity * sizeof *delays_us);

  int64_t started = own_ns(monotonic_ns()), over = 0;
  const int64_t between_ns = 20000000LL / streams;
  while (over == 0 || monotonic_ns() < over) {
    long due = (own_ns(monotonic_ns()) - started) / between_ns;
    for (; sent < total && sent < due; sent++) {
      unsigned char packet[PACKET] = {0x80, 8};
      uint16_t sequence = htons((sent / streams) & 0xffff);
      uint32_t timestamp = htonl((uint32_t)(sent / streams) * 160), source = htonl(sent % streams + 1);
      memcpy(packet + 2, &sequence, 2);
      memcpy(packet + 4, &timestamp, 4);
      memcpy(packet + 8, &source, 4);
      int64_t now = realtime_ns();
      memcpy(packet + PACKET - sizeof now, &now, sizeof now);
      struct sockaddr_in *to = &targets[sent % streams];
      if (sent == warm) {
        drain();
        received = 0;
        printf("warm\n");
        fflush(stdout);
      }
      sendto(sockets[sent % streams], packet, PACKET, MSG_DONTWAIT, (struct sockaddr *)to, sizeof *to);
    }
    drain();
    if (sent == total && over == 0) over = monotonic_ns() + ON_WIRE_MS * 1000000LL;
    int64_t now = monotonic_ns(), idle = started + (sent + 1) * between_ns - own_ns(now) - SPIN_NS;
    if (sent == total) idle = SPIN_NS;
    if (of > 1 && now / turn_ns % of != which) idle = NAP_NS;
    if (idle <= 0) continue;
    struct timespec rest = {0, idle};
    nanosleep(&rest, NULL);
  }
  uint32_t usual = middle_p999();
  qsort(delays_us, received, sizeof *delays_us, ascending);
  printf("{\"sent\":%ld,\"received\":%ld,\"p50Us\":%u,\"p99Us\":%u,\"p999Us\":%u,\"usualP999Us\":%u}\n", sent - warm, received,
         received ? delays_us[received / 2] : 0, received ? delays_us[received * 99 / 100] : 0,
         received ? delays_us[received * 999 / 1000] : 0, usual);
  return 0;
}
