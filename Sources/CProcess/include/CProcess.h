#pragma once

/// Copies the process as `fork` does, which Swift hides: in the copy runs the calling thread alone.
int gradus_fork(void);

/// Makes this process the parent of what its children leave behind, so that it can wait for them.
void gradus_adopt_orphans(void);
