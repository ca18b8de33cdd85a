#include "include/CStdlib.h"

// The standard library, in the order in which it is read: a default value may use what stands before it.
static const unsigned char core[] = {
#embed "../../stdlib/core.nn"
};
static const unsigned char activations[] = {
#embed "../../stdlib/activations.nn"
};
static const unsigned char initialisers[] = {
#embed "../../stdlib/initialisers.nn"
};
static const unsigned char layers[] = {
#embed "../../stdlib/layers.nn"
};
static const unsigned char losses[] = {
#embed "../../stdlib/losses.nn"
};
static const unsigned char metrics[] = {
#embed "../../stdlib/metrics.nn"
};
static const unsigned char schedules[] = {
#embed "../../stdlib/schedules.nn"
};
static const unsigned char optimizers[] = {
#embed "../../stdlib/optimizers.nn"
};

// 1,797 handwritten digits; digits.md has the credit.
static const unsigned char digits[] = {
#embed "digits.csv.gz"
};

static const gradus_embedded_file files[] = {
    {"core.nn", core, sizeof core},
    {"activations.nn", activations, sizeof activations},
    {"initialisers.nn", initialisers, sizeof initialisers},
    {"layers.nn", layers, sizeof layers},
    {"losses.nn", losses, sizeof losses},
    {"metrics.nn", metrics, sizeof metrics},
    {"schedules.nn", schedules, sizeof schedules},
    {"optimizers.nn", optimizers, sizeof optimizers},
    {"digits.csv.gz", digits, sizeof digits},
};

const gradus_embedded_file *gradus_embedded_files(void) { return files; }
size_t gradus_embedded_file_count(void) { return sizeof files / sizeof files[0]; }
