/* Misuses every call of dsm.h: each must say so, and nothing else must happen. With the argument `late`, touches shared memory after
 * dsm_finalize: that must be a segmentation fault. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsm.h"

/* Ends the program unless `refused` holds and the last error contains `words`. */
#define REFUSED(refused, words) check((refused), (words), #refused, __LINE__)

/* Ends the program unless `taken` holds and there is no last error. */
#define TAKEN(taken) check((taken), NULL, #taken, __LINE__)

static void check(int holds, const char *words, const char *what, int line)
{
    const char *error = dsm_last_error();
    int told = words == NULL ? error == NULL : error != NULL && strstr(error, words) != NULL;
    if (holds && told)
        return;
    fprintf(stderr, "misuse.c:%d: %s: %s\n", line, what, error == NULL ? "no error" : error);
    exit(EXIT_FAILURE);
}

static void outside(const char *words)
{
    uint64_t word = 5;
    REFUSED(dsm_rank() == -1, words);
    REFUSED(dsm_size() == -1, words);
    REFUSED(dsm_alloc(8, NULL) == NULL, words);
    REFUSED(dsm_lock(1) == -1, words);
    REFUSED(dsm_unlock(1) == -1, words);
    REFUSED(dsm_barrier() == -1, words);
    REFUSED(dsm_fetch_add(&word, 1) == 0, words);
    REFUSED(dsm_compare_swap(&word, 5, 6) == 0, words);
    REFUSED(dsm_clock() == 0.0, words);
    REFUSED(dsm_finalize() == -1, words);
    if (word != 5)
        exit(EXIT_FAILURE);
}

static void bad_options(void)
{
    dsm_alloc_opts placement = { .placement = 9 }, below = { .placement = -1 };
    dsm_alloc_opts consistency = { .consistency = 7 };
    dsm_alloc_opts negative = { .placement = DSM_PLACE_NODE, .node = -1 };
    dsm_alloc_opts nobody = { .placement = DSM_PLACE_NODE, .node = dsm_size() };
    dsm_alloc_opts blocks = { .placement = DSM_PLACE_CYCLIC, .block_bytes = 0 };
    REFUSED(dsm_alloc(8, &placement) == NULL, "9 is no placement");
    REFUSED(dsm_alloc(8, &below) == NULL, "-1 is no placement");
    REFUSED(dsm_alloc(8, &consistency) == NULL, "7 is no consistency");
    REFUSED(dsm_alloc(8, &negative) == NULL, "no node -1");
    REFUSED(dsm_alloc(8, &nobody) == NULL, "no node");
    REFUSED(dsm_alloc(8, &blocks) == NULL, "at least one byte");
    REFUSED(dsm_alloc(SIZE_MAX, NULL) == NULL, "do not fit");
    REFUSED(dsm_alloc((size_t)1 << 60, NULL) == NULL, "do not fit");
}

static void bad_addresses(uint64_t *shared)
{
    static uint64_t elsewhere = 5;
    uint64_t *misaligned = (uint64_t *)((char *)shared + 4);
    uint64_t *beyond = (uint64_t *)((char *)shared + ((size_t)1 << 30));
    uint64_t *wrong[] = { NULL, &elsewhere, misaligned, beyond, (uint64_t *)UINTPTR_MAX };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        REFUSED(dsm_fetch_add(wrong[i], 1) == 0, "not that of an aligned 8-byte word");
        REFUSED(dsm_compare_swap(wrong[i], 5, 6) == 0, "not that of an aligned 8-byte word");
    }
    if (elsewhere != 5)
        exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    outside("dsm_init first");
    TAKEN(dsm_init(&argc, &argv) == 0);
    REFUSED(dsm_init(NULL, NULL) == -1, "joins once");
    bad_options();

    dsm_alloc_opts cyclic = { .placement = DSM_PLACE_CYCLIC, .block_bytes = 1, .consistency = DSM_CONSISTENCY_SEQUENTIAL };
    uint64_t *shared = dsm_alloc(100000, &cyclic);
    TAKEN(shared != NULL);
    bad_addresses(shared);
    REFUSED(dsm_unlock(77) == -1, "lock 77 is not held");
    TAKEN(dsm_lock(77) == 0);
    REFUSED(dsm_unlock(78) == -1, "lock 78 is not held");
    shared[12000] += 1;
    TAKEN(dsm_unlock(77) == 0);
    REFUSED(dsm_unlock(77) == -1, "lock 77 is not held");

    /* None of this has done any harm. */
    TAKEN(dsm_fetch_add(shared, 2) % 2 == 0);
    TAKEN(dsm_barrier() == 0);
    uint64_t nodes = (uint64_t)dsm_size();
    TAKEN(shared[0] == 2 * nodes && shared[12000] == nodes && shared[1] == 0);
    TAKEN(dsm_clock() > 0.0);
    TAKEN(dsm_finalize() == 0);

    outside("nothing after dsm_finalize");
    REFUSED(dsm_init(NULL, NULL) == -1, "joins once");
    if (argc > 1 && strcmp(argv[1], "late") == 0)
        *(volatile uint64_t *)shared = 1;
    return EXIT_SUCCESS;
}
