/*
 * Listens to prompts for `npm run bench -- relay`: each stream's packets against the ideal instants, one every 20 ms. The
 * instant of a stream's beginning is taken so that its middle packet is on time; arrivals are the kernel's. A stream's first
 * second is not counted: calls are set up then, and a compiler warms up.
 *
 *   rtp-listener STREAMS SECONDS      out: ports P1 P2 ... ; SECONDS after the first packet: one line of JSON
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { EVENTS = 512, FRAME_US = 20000, WARM = 50 };

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

int main(int count, char **arguments) {
  int streams = count > 2 ? atoi(arguments[1]) : 0, seconds = count > 2 ? atoi(arguments[2]) : 0, epoll = epoll_create1(0);
  int most = (seconds + 1) * 50;
  double *offsets = calloc((size_t)streams * most, sizeof *offsets), *sorted = calloc(most, sizeof *sorted);
  int *heard = calloc(streams, sizeof *heard), *fds = calloc(streams, sizeof *fds);
  uint16_t *first = calloc(streams, sizeof *first);
  printf("ports");
  for (int each = 0; each < streams; each++) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof local;
    int on = 1, fd = fds[each] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof local) < 0) return 1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    getsockname(fd, (struct sockaddr *)&local, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = each};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    printf(" %d", ntohs(local.sin_port));
  }
  printf("\n");
  fflush(stdout);

  time_t until = 0;
  while (until == 0 || time(NULL) < until) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, 10);
    if (until == 0 && ready > 0) until = time(NULL) + seconds;
    for (int each = 0; each < ready; each++) {
      unsigned stream = events[each].data.u32;
      unsigned char packet[2048];
      char control[128];
      struct iovec part = {packet, sizeof packet};
      for (;;) {
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(fds[stream], &message, MSG_DONTWAIT) < 12 || heard[stream] == most) break;
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof stamp);
        uint16_t sequence;
        memcpy(&sequence, packet + 2, 2);
        sequence = ntohs(sequence);
        if (heard[stream] == 0) first[stream] = sequence;
        double ideal = (double)(uint16_t)(sequence - first[stream]) * FRAME_US;
        offsets[(size_t)stream * most + heard[stream]++] = stamp.tv_sec % 100000 * 1e6 + stamp.tv_nsec / 1e3 - ideal;
      }
    }
  }
  long all = 0;
  double *deviations = calloc((size_t)streams * most, sizeof *deviations);
  for (int stream = 0; stream < streams; stream++) {
    double *of = offsets + (size_t)stream * most;
    int counted = heard[stream] - WARM;
    if (counted <= 0) continue;
    memcpy(sorted, of + WARM, counted * sizeof *sorted);
    qsort(sorted, counted, sizeof *sorted, ascending);
    for (int each = WARM; each < heard[stream]; each++) {
      double off = of[each] - sorted[counted / 2];
      deviations[all++] = off < 0 ? -off : off;
    }
  }
  qsort(deviations, all, sizeof *deviations, ascending);
  printf("{\"packets\":%ld,\"p50Us\":%.0f,\"p99Us\":%.0f}\n", all, all ? deviations[all / 2] : 0, all ? deviations[all * 99 / 100] : 0);
  return 0;
}
