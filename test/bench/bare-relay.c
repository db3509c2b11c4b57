/*
 * The floor under `npm run bench -- relay`: what the kernel alone asks for relaying. Connected sockets, one receive and one
 * send a packet, all that came taken every two milliseconds; no header is read, nothing is counted.
 *
 *   bare-relay P1 P2 ...         ports of the telephones, in pairs; out: ports Q1 Q2 ...; ends when its input does
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, TICK_NS = 2000000 };

int main(int count, char **arguments) {
  int streams = count - 1, epoll = epoll_create1(0);
  int *sockets = calloc(streams, sizeof *sockets);
  printf("ports");
  for (int each = 0; each < streams; each++) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, remote = local;
    socklen_t size = sizeof local;
    int fd = sockets[each] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    remote.sin_port = htons(atoi(arguments[each + 1]));
    if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof local) < 0) return 1;
    if (connect(fd, (struct sockaddr *)&remote, sizeof remote) < 0) return 1;
    getsockname(fd, (struct sockaddr *)&local, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = each};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    printf(" %d", ntohs(local.sin_port));
  }
  printf("\n");
  fflush(stdout);

  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  for (long tick = 0;; tick++) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct timespec rest = {0, TICK_NS - now.tv_nsec % TICK_NS};
    nanosleep(&rest, NULL);
    if (tick % 500 == 0 && poll(&input, 1, 0) > 0) return 0;
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, 0);
    for (int each = 0; each < ready; each++) {
      unsigned char packet[2048];
      unsigned from = events[each].data.u32;
      ssize_t length = recv(sockets[from], packet, sizeof packet, MSG_DONTWAIT);
      if (length > 0) send(sockets[from ^ 1], packet, length, MSG_DONTWAIT);
    }
  }
}
