#include "czmq.h"

// libzmq is loaded when a notebook's kernel starts: linked to the program, it and the dozen libraries behind it would
// cost each start, and the program would not start where they are missing.

#if __has_include(<zmq.h>)
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#if ZMQ_VERSION_MAJOR == 4
#define LIBRARY "libzmq.so.5"
#else
#error "libzmq 4 is needed"
#endif

#define FUNCTIONS(f) \
  f(ctx_new) f(ctx_term) f(socket) f(setsockopt) f(bind) f(close) f(poll) f(strerror) f(send) f(msg_init) \
  f(msg_recv) f(msg_data) f(msg_size) f(msg_more) f(msg_close)

static struct {
#define DECLARE(name) __typeof__(zmq_##name) *name;
  FUNCTIONS(DECLARE)
} lib;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *problem;

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    problem = reason ? strdup(reason) : LIBRARY " cannot be loaded";
    return;
  }
#define LOAD(name) \
  if (!(lib.name = (__typeof__(lib.name))dlsym(library, "zmq_" #name))) { \
    problem = LIBRARY " lacks zmq_" #name; \
    return; \
  }
  FUNCTIONS(LOAD)
}

const char *czmq_load(void) {
  pthread_once(&once, load);
  return problem;
}

void *czmq_context(void) { return lib.ctx_new(); }

static bool set(void *socket, int option, int value) {
  return lib.setsockopt(socket, option, &value, sizeof value) == 0;
}

void *czmq_listen(void *context, enum czmq_kind kind, const char *endpoint) {
  void *socket = lib.socket(context, kind == CZMQ_XPUB ? ZMQ_XPUB : ZMQ_ROUTER);
  if (!socket) return NULL;
  bool is_set = set(socket, ZMQ_SNDHWM, 0) && set(socket, ZMQ_RCVHWM, 0) && set(socket, ZMQ_LINGER, 1000)
      // Each subscription is seen, not only the first to a topic; a client that comes back takes its old place.
      && set(socket, kind == CZMQ_XPUB ? ZMQ_XPUB_VERBOSE : ZMQ_ROUTER_HANDOVER, 1);
  if (is_set && lib.bind(socket, endpoint) == 0) return socket;
  int reason = errno;
  lib.close(socket);
  errno = reason;
  return NULL;
}

const char *czmq_error(void) { return lib.strerror(errno); }

void czmq_wait(void *const *sockets, size_t count, int wake, long milliseconds) {
  zmq_pollitem_t items[9];
  int used = 0;
  if (wake >= 0) items[used++] = (zmq_pollitem_t){.fd = wake, .events = ZMQ_POLLIN};
  for (size_t index = 0; index < count && index < 8; index++)
    items[used++] = (zmq_pollitem_t){.socket = sockets[index], .events = ZMQ_POLLIN};
  // A signal ends the wait early, which does no harm.
  lib.poll(items, used, milliseconds);
}

bool czmq_receive(void *socket, struct czmq_frame *frame) {
  zmq_msg_t message;
  lib.msg_init(&message);
  int count;
  do count = lib.msg_recv(&message, socket, ZMQ_DONTWAIT);
  while (count < 0 && errno == EINTR);
  bool has_frame = count >= 0;
  if (has_frame) {
    frame->count = lib.msg_size(&message);
    frame->is_last = !lib.msg_more(&message);
    frame->bytes = malloc(frame->count + 1);
    if (frame->bytes)
      memcpy(frame->bytes, lib.msg_data(&message), frame->count);
    else
      frame->count = 0;
  }
  lib.msg_close(&message);
  return has_frame;
}

bool czmq_send(void *socket, const void *bytes, size_t count, bool is_last) {
  int sent;
  do sent = lib.send(socket, bytes, count, ZMQ_DONTWAIT | (is_last ? 0 : ZMQ_SNDMORE));
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

void czmq_close(void *socket) { lib.close(socket); }
void czmq_end(void *context) { lib.ctx_term(context); }

#else

const char *czmq_load(void) { return "this build is without it: install libzmq3-dev and build again"; }
void *czmq_context(void) { return 0; }
void *czmq_listen(void *context, enum czmq_kind kind, const char *endpoint) { return 0; }
const char *czmq_error(void) { return ""; }
void czmq_wait(void *const *sockets, size_t count, int wake, long milliseconds) {}
bool czmq_receive(void *socket, struct czmq_frame *frame) { return false; }
bool czmq_send(void *socket, const void *bytes, size_t count, bool is_last) { return false; }
void czmq_close(void *socket) {}
void czmq_end(void *context) {}

#endif
