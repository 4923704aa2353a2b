/* dsm.h: distributed shared memory for C programs.
 *
 * Several processes, on one machine or on many, see one memory: what one stores, the others load, at the same address.
 *
 *     #include "dsm.h"
 *     int main(int argc, char **argv) {
 *         if (dsm_init(&argc, &argv)) return 1;
 *         uint64_t *counter = dsm_alloc(sizeof *counter, NULL);
 *         dsm_fetch_add(counter, 1);
 *         dsm_barrier();
 *         if (dsm_rank() == 0) printf("%llu nodes\n", (unsigned long long)*counter);
 *         return dsm_finalize();
 *     }
 *
 * Build:  cc program.c -I DIR_OF_dsm.h -L DIR_OF_libdsm -ldsm        Run:  dsm-node run -n 4 -- ./program
 * (libdsm.a instead of libdsm.so: add -lpthread -ldl -lm.)
 *
 * Functions that return int return 0 on success. dsm_last_error() says what the last call of this thread did not do. When
 * another node dies, the process ends with status 70 and a line that names it: no call has to be prepared for that.
 *
 * Between nodes, memory is sequentially consistent. Between threads of one node it is what the processor makes it: use
 * C11 atomics there. Declare what other nodes change volatile or _Atomic, or let a lock or a barrier stand between.
 */
#ifndef DSM_H
#define DSM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who keeps which page of an allocation: its home holds its directory entry and performs atomic operations on it. */
enum {
    DSM_PLACE_BLOCK = 0,  /* equal contiguous shares, the first to node 0 */
    DSM_PLACE_CYCLIC = 1, /* blocks of block_bytes (rounded up to whole pages) go round the nodes */
    DSM_PLACE_NODE = 2    /* all to `node` */
};

enum {
    DSM_CONSISTENCY_DEFAULT = 0, /* as the job was launched */
    DSM_CONSISTENCY_SEQUENTIAL = 1
};

typedef struct {
    int placement;      /* DSM_PLACE_... */
    size_t block_bytes; /* with DSM_PLACE_CYCLIC, at least 1 */
    int node;           /* with DSM_PLACE_NODE */
    int consistency;    /* DSM_CONSISTENCY_... */
} dsm_alloc_opts;

/* Joins the job that dsm-node run has started, or makes a job of one node when it has not. Collective, once, first. The
 * arguments are left as they are; both pointers may be NULL. */
int dsm_init(int *argc, char ***argv);

/* Leaves the job. Collective: serves this node's pages until every node has come here. Shared memory is gone afterwards: touching it is a
 * segmentation fault. A process that ends without it has failed, and the others end with an error. */
int dsm_finalize(void);

/* This node's number, and how many there are; -1 outside a job. */
int dsm_rank(void);
int dsm_size(void);

/* Allocates `bytes` bytes, all zero, at the same address on every node. Collective: same calls, same order, same arguments.
 * opts may be NULL: DSM_PLACE_BLOCK. NULL on failure, on every node alike. The memory lasts until dsm_finalize. */
void *dsm_alloc(size_t bytes, const dsm_alloc_opts *opts);

/* Says that this node will soon read these bytes: they are fetched without waiting, as far as they are in shared memory (no more than
 * 1,024 pages at a time). Only a hint; streams of reads are recognised without it. */
void dsm_prefetch(const void *start, size_t bytes);

/* Waits for lock `id` (any number is a lock) and takes it: one thread of the whole job holds it. */
int dsm_lock(uint64_t id);

/* Releases a lock that a thread of this node took. */
int dsm_unlock(uint64_t id);

/* Waits until every node is here. Collective: one thread of each node. */
int dsm_barrier(void);

/* In one step that no node can come between, at the home of the word's page: adds `value`, or sets `desired` where `expect` is found.
 * Both return what was there before. The word is 8-byte aligned shared memory; on any other address they return 0 and
 * dsm_last_error() is not NULL. */
uint64_t dsm_fetch_add(uint64_t *word, uint64_t value);
uint64_t dsm_compare_swap(uint64_t *word, uint64_t expect, uint64_t desired);

/* Seconds since this node joined; 0 outside a job. */
double dsm_clock(void);

/* What the last call of this thread did not do, and what to do about it; NULL when it succeeded. Valid until this thread's next call. */
const char *dsm_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
