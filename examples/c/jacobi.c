/* Heat on a plate, in C: the same job as the Rust program `jacobi`, to the last bit.
 *
 * Each point becomes the mean of its four neighbours, again and again. The upper edge is hot, the other three are cold.
 * Every node owns a block of rows; a barrier ends each iteration. To a C program the shared plates are plain arrays: a
 * row of a neighbour that is not here is fetched when it is touched, and nothing in the code says so.
 *
 * Build, from the top of the repository:
 *     cargo build --release -p dsm-capi
 *     cc -O2 -std=c11 -Wall -Wextra -I dsm-core/capi/include examples/c/jacobi.c \
 *        -o target/jacobi-c -L target/release -ldsm -Wl,-rpath,target/release
 * Run alone, or as three processes:
 *     target/jacobi-c 128 1000
 *     dsm-node run -n 3 -- target/jacobi-c 128 1000
 * The last line must equal that of `jacobi --size 128 --iterations 1000`.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsm.h"

enum { PLATE_MIN = 3, PLATE_MAX = 8192, ITERATIONS_MAX = 1000000 };

static const double HOT = 100.0;

static void die(const char *what)
{
    fprintf(stderr, "jacobi: %s: %s\n", what, dsm_last_error());
    exit(EXIT_FAILURE);
}

/* A whole number between two bounds, or a clear end. */
static size_t number(const char *name, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most) {
        fprintf(stderr, "jacobi: %s `%s` must be a number from %ld to %ld\n", name, text, least, most);
        exit(2);
    }
    return (size_t)value;
}

static double *plate(size_t size)
{
    /* Contiguous shares: the home of a row is, nearly always, the node that computes it. */
    dsm_alloc_opts opts = { .placement = DSM_PLACE_BLOCK };
    double *cells = dsm_alloc(size * size * sizeof *cells, &opts);
    if (cells == NULL)
        die("cannot allocate a plate");
    return cells;
}

/* The first row of a node: equal shares, the first ones a row longer when it does not divide. */
static size_t first_row(size_t node, size_t nodes, size_t size)
{
    size_t longer = size % nodes;
    return node * (size / nodes) + (node < longer ? node : longer);
}

/* FNV-1a, 64 bits, over the bits of all cells in row order, low byte first. */
static uint64_t checksum(const double *cells, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &cells[i], sizeof bits);
        for (int byte = 0; byte < 8; byte++) {
            hash ^= (bits >> (8 * byte)) & 0xff;
            hash *= UINT64_C(0x00000100000001b3);
        }
    }
    return hash;
}

int main(int argc, char **argv)
{
    if (dsm_init(&argc, &argv) != 0)
        die("cannot join the job");
    if (argc > 3) {
        fprintf(stderr, "usage: jacobi [SIZE [ITERATIONS]]\n");
        return 2;
    }
    size_t size = argc > 1 ? number("size", argv[1], PLATE_MIN, PLATE_MAX) : 128;
    size_t iterations = argc > 2 ? number("iterations", argv[2], 0, ITERATIONS_MAX) : 1000;
    size_t rank = (size_t)dsm_rank(), nodes = (size_t)dsm_size();

    double *old = plate(size), *new = plate(size);
    size_t begin = first_row(rank, nodes, size), end = first_row(rank + 1, nodes, size);

    /* Memory is zero at first, so only the hot edge is written: on both plates, for either may be read. */
    if (begin == 0 && end > 0)
        for (size_t column = 0; column < size; column++)
            old[column] = new[column] = HOT;
    if (dsm_barrier() != 0)
        die("barrier");

    /* The edges stay as they are. */
    size_t from = begin > 1 ? begin : 1, to = end < size - 1 ? end : size - 1;
    double start = dsm_clock();
    for (size_t iteration = 0; iteration < iterations; iteration++) {
        for (size_t row = from; row < to; row++) {
            const double *above = old + (row - 1) * size, *here = above + size, *below = here + size;
            double *out = new + row * size;
            /* The order of the additions is part of the result. */
            for (size_t column = 1; column + 1 < size; column++)
                out[column] = (above[column] + below[column] + here[column - 1] + here[column + 1]) * 0.25;
        }
        /* Nobody may read the new plate before it is complete, nor write the old one while it is read. */
        if (dsm_barrier() != 0)
            die("barrier");
        double *swap = old;
        old = new;
        new = swap;
    }

    if (rank == 0) {
        printf("nodes     %zu\n", nodes);
        printf("time      %.3f s\n", dsm_clock() - start);
        printf("checksum %016" PRIx64 "\n", checksum(old, size * size));
        fflush(stdout);
    }
    if (dsm_finalize() != 0)
        die("cannot leave the job");
    return EXIT_SUCCESS;
}
