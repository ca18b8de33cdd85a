#ifndef CZMQ_H
#define CZMQ_H

#include <stdbool.h>
#include <stddef.h>

/// Loads libzmq; the first call decides. Returns NULL, or a text that says why it cannot be had.
const char *czmq_load(void);

/// What follows requires a library that was loaded. A socket belongs to the thread that uses it.

/// Returns NULL on failure.
void *czmq_context(void);

enum czmq_kind { CZMQ_ROUTER, CZMQ_XPUB };

/// Returns a socket that listens at `endpoint`, or NULL; then `czmq_error` says why. Nothing that it is given to send is
/// ever dropped for want of room, and what is not sent at its end gets a second.
void *czmq_listen(void *context, enum czmq_kind kind, const char *endpoint);
const char *czmq_error(void);

/// Waits until one of up to 8 sockets has something to read, or the descriptor `wake` unless it is below 0, or the time is
/// over; below 0 there is no limit. The end of the context is the end of the wait.
void czmq_wait(void *const *sockets, size_t count, int wake, long milliseconds);

struct czmq_frame {
  /// From malloc; the caller's to free.
  void *bytes;
  size_t count;
  bool is_last;
};

/// Takes one frame that has come. Returns false where there is none.
bool czmq_receive(void *socket, struct czmq_frame *frame);
/// Returns false where the frame cannot be sent: to a client that is gone.
bool czmq_send(void *socket, const void *bytes, size_t count, bool is_last);

void czmq_close(void *socket);
/// Waits until all sockets are closed, and for what they still have to send.
void czmq_end(void *context);

#endif
