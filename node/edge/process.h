/* process.h - what the kernel says about this process, for the metrics named process_*.
 *
 *      /proc/self/stat, /proc/self/fd, /proc/stat -> process_read -> struct process
 */
#ifndef NODE_EDGE_PROCESS_H
#define NODE_EDGE_PROCESS_H

#include <stdint.h>

struct process {
    double cpu_s;     /* User and system. */
    double started_s; /* Unix time. */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_files;
    uint64_t open_files_max;
};

/* Zero for what cannot be read. */
void process_read(struct process *process);

#endif /* NODE_EDGE_PROCESS_H */
