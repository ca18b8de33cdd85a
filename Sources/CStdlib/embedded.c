#include "include/CStdlib.h"

static const unsigned char core[] = {
#embed "../../stdlib/core.nn"
};

static const gradus_embedded_file files[] = {
    {"core.nn", core, sizeof core},
};

const gradus_embedded_file *gradus_embedded_files(void) { return files; }
size_t gradus_embedded_file_count(void) { return sizeof files / sizeof files[0]; }
