/* schema.h - the SQL of the results file, as text.
 *
 * Long, tidy tables; the unit is in the column's name; exact times are integer microseconds; what
 * is unknown is NULL. Grown from one rule set: docs/RESULTS.md explains every table.
 *
 *      schema_tables -> database_create        schema_indexes, schema_views -> database_finish
 */
#ifndef SIM_RESULT_SCHEMA_H
#define SIM_RESULT_SCHEMA_H

extern const char schema_tables[];
extern const char schema_views[];
extern const char schema_indexes[]; /* Made last: an index that grows with its table costs more. */

#endif /* SIM_RESULT_SCHEMA_H */
