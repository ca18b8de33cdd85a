#include "CProcess.h"
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

int gradus_fork(void) { return fork(); }

void gradus_adopt_orphans(void) {
#if defined(__linux__)
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#endif
}
