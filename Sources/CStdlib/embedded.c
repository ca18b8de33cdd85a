#include "include/CStdlib.h"

static const unsigned char core[] = {
#embed "../../stdlib/core.nn"
};

// 1,797 handwritten digits; digits.md has the credit.
static const unsigned char digits[] = {
#embed "digits.csv.gz"
};

static const gradus_embedded_file files[] = {
    {"core.nn", core, sizeof core},
    {"digits.csv.gz", digits, sizeof digits},
};

const gradus_embedded_file *gradus_embedded_files(void) { return files; }
size_t gradus_embedded_file_count(void) { return sizeof files / sizeof files[0]; }
