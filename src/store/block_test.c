/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks say what the parts said that they were made of, to us and to a reader
 * made from the text alone; damaged ones say less, and never something else. */
#include "scratch.h"

#include "store/scan.h"
#include "store/testblock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define START_MS  INT64_C(1700000000000)
#define N_PARTS	  3
#define STEP_MS	  (70 * INT64_C(1000))
#define NO_READER 77

static int dir = -1;
static struct keyring *keys; /* NULL: blocks are not sealed */

static int set_up(void **state)
{
	int r = make_scratch(state);
	dir = r == 0 ? open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir < 0;
}

static int tear_down(void **state)
{
	(void)close(dir);
	return remove_scratch(state);
}

static void name_of(const struct block_meta *m, char out[static BLOCK_ID_HEX + 4])
{
	block_id_format(&m->id, out);
	memcpy(out + BLOCK_ID_HEX - 1, ".blk", 5);
}

static int load(struct block_part *b, const struct block_meta *m, struct membudget *budget)
{
	char name[BLOCK_ID_HEX + 4];
	name_of(m, name);
	return block_part_load(b, dir, name, keys, budget, NULL);
}

/* A block of one head, so many profiles. */
static void block_of(unsigned n, uint32_t seed, struct block_meta *meta)
{
	struct head h;
	assert_int_equal(head_init(&h, 16 << 20, 1000), 0);
	testblock_fill(&h, seed, n, START_MS + seed * 12345, STEP_MS);
	const struct part *part = &h.part;
	*meta = (struct block_meta){ .last_seq = n };
	testblock_write(dir, &part, 1, RES_RAW, RES_RAW, meta);
	head_done(&h);
}

/* Several of them merged, with sums. */
static void merged_block(unsigned n, struct block_meta *meta, struct testblock_seen *ret_parts)
{
	struct block_part loaded[N_PARTS];
	const struct part *parts[N_PARTS];
	struct membudget budget = membudget_of(64 << 20);
	*ret_parts = (struct testblock_seen){ 0 };
	*meta = (struct block_meta){ .level = 1 };
	for (uint32_t i = 0; i < N_PARTS; i++) {
		struct block_meta m;
		struct testblock_seen seen;
		block_of(n, i, &m);
		assert_int_equal(load(&loaded[i], &m, &budget), 0);
		parts[i] = &loaded[i].part;
		assert_int_equal(testblock_see(parts[i], NULL, &seen), 0);
		ret_parts->total[RES_RAW] += seen.total[RES_RAW];
		testblock_seen_done(&seen);
		meta->arrived_from_ms = m.arrived_from_ms;
		meta->arrived_to_ms = m.arrived_to_ms;
	}
	testblock_write(dir, parts, N_PARTS, RES_RAW, RES_DAY, meta);
	for (int i = 0; i < N_PARTS; i++)
		block_part_done(&loaded[i]);
	assert_int_equal(budget.used, 0);
}

/* tests/blockreader.py of the file: its exit status. */
static int ask_reader(const struct block_meta *m)
{
	char name[BLOCK_ID_HEX + 4], command[4600];
	const char *root = getenv("WICK_SOURCE_ROOT");
	name_of(m, name);
	(void)snprintf(command, sizeof(command),
		       "python3 '%s/tests/blockreader.py' '%s' 2>&1 | sed 's/^/# /'; exit "
		       "${PIPESTATUS[0]}",
		       root ? root : ".", in_scratch(name));
	char *argv[] = { (char *)(uintptr_t) "bash", (char *)(uintptr_t) "-c", command, NULL };
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)execvp(argv[0], argv);
		_exit(NO_READER);
	}
	int status = 0;
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_block_says_what_memory_said(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 20; seed++) {
		struct head h;
		struct block_part b;
		struct block_meta meta = { 0 };
		struct testblock_seen before, after;
		struct membudget budget = membudget_of(64 << 20);
		assert_int_equal(head_init(&h, 16 << 20, 1000), 0);
		testblock_fill(&h, seed, seed * seed, START_MS, STEP_MS);
		const struct part *part = &h.part;
		testblock_write(dir, &part, 1, RES_RAW, RES_RAW, &meta);
		assert_int_equal(load(&b, &meta, &budget), 0);
		assert_int_equal(testblock_see(&h.part, NULL, &before), 0);
		assert_int_equal(testblock_see(&b.part, &budget, &after), 0);
		assert_true(before.hashes.n > seed * seed && testblock_is_same(&before, &after));
		assert_int_equal(meta.n_profiles, h.part.n_profiles);
		assert_int_equal(meta.n_observations, h.n_observations);
		block_part_done(&b);
		assert_int_equal(budget.used, 0);
		head_done(&h);
		testblock_seen_done(&before);
		testblock_seen_done(&after);
	}
}

static void sums_are_sums_of_what_was_merged(void **state)
{
	(void)state;
	struct block_meta meta;
	struct testblock_seen parts, merged;
	struct block_part b;
	merged_block(200, &meta, &parts);
	assert_int_equal(load(&b, &meta, NULL), 0);
	assert_int_equal(testblock_see(&b.part, NULL, &merged), 0);
	assert_true(parts.total[RES_RAW] > 0);
	for (int r = 0; r < N_RESOLUTIONS; r++)
		assert_int_equal(merged.total[r], parts.total[RES_RAW]);
	block_part_done(&b);
	testblock_seen_done(&merged);
}

/* A profile of one moment, as those of memory in use are. */
static void put_instant(struct head *h, int64_t at_ms, int64_t value)
{
	struct intake in = { .label[SERIES_SERVICE] = slice_str("api"), .received_ms = at_ms };
	struct intake_profile ip = { .keep = 1, .from_ms = at_ms, .to_ms = at_ms };
	struct staged staged;
	struct frame_id frame;
	struct node_id node = { 0 };
	assert_int_equal(profile_init(&ip.profile, NULL), 0);
	assert_int_equal(profile_add_type(&ip.profile, slice_str("inuse"), slice_str("bytes")), 0);
	assert_int_equal(dict_named_frame(&ip.profile.dict, slice_str("main"), FRAME_USER, &frame), 0);
	assert_int_equal(dict_node(&ip.profile.dict, node, frame, &node), 0);
	assert_int_equal(profile_add_sample(&ip.profile, node, (struct labels_id){ 0 }, &value), 0);
	assert_int_equal(head_prepare(h, &in, &ip, &staged, NULL), 0);
	head_publish(h, &staged);
	intake_profile_done(&ip);
}

static int64_t total_within(const struct part *p, int64_t from_ms, int64_t to_ms)
{
	const struct scan_options options = { .from_ms = from_ms, .to_ms = to_ms, .coarsest = RES_DAY };
	struct scan scan;
	int64_t total = 0;
	assert_int_equal(scan_init(&scan, p, &options, NULL), 0);
	assert_int_equal(scan_series(&scan, 0), 0);
	while (scan_next(&scan) == 1)
		total += scan.chunk.total;
	assert_int_equal(scan.stats.n_damaged, 0);
	scan_done(&scan);
	return total;
}

static void a_sum_of_moments_counts_where_each_of_them_does(void **state)
{
	(void)state;
	const int64_t step = resolution_ms(RES_DAY), t = START_MS / step * step;
	static const int64_t at[] = { 0, 1000, 1000, 250000, 300000, 7200000 };
	struct head h;
	struct block_meta meta = { 0 };
	struct block_part b;
	assert_int_equal(head_init(&h, 1 << 20, 1000), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		put_instant(&h, t + at[i], 1 << i);
	const struct part *part = &h.part;
	testblock_write(dir, &part, 1, RES_RAW, RES_DAY, &meta);
	assert_int_equal(load(&b, &meta, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		for (unsigned k = i; k < ARRAY_SIZE(at); k++)
			for (int64_t more = 0; more < 2; more++) {
				int64_t from = t + at[i], to = t + at[k] + more;
				assert_int_equal(total_within(&b.part, from, to), total_within(part, from, to));
			}
	block_part_done(&b);
	head_done(&h);
}

static void another_reader_reads_the_same(void **state)
{
	(void)state;
	struct block_meta meta;
	struct testblock_seen parts;
	block_of(300, 7, &meta);
	int r = ask_reader(&meta);
	if (r == NO_READER)
		skip_because("python3, libzstd or libxxhash is not here");
	assert_int_equal(r, 0);
	merged_block(100, &meta, &parts);
	assert_int_equal(ask_reader(&meta), 0);
	/* It would say so if it were not. */
	char name[BLOCK_ID_HEX + 4];
	name_of(&meta, name);
	assert_int_equal(truncate(in_scratch(name), (off_t)meta.size - 1), 0);
	assert_int_equal(ask_reader(&meta), 1);
}

/* ---- damage ---- */

struct victim {
	struct block_meta meta;
	char name[BLOCK_ID_HEX + 4];
	int fd;
	uint8_t *bytes;
	size_t size;
	struct testblock_seen whole;
	unsigned n_refused, n_less, n_same;
};

static void victim_init(struct victim *v)
{
	struct testblock_seen parts;
	struct block_part b;
	*v = (struct victim){ 0 };
	merged_block(4, &v->meta, &parts);
	name_of(&v->meta, v->name);
	v->size = v->meta.size;
	v->bytes = malloc(v->size);
	v->fd = openat(dir, v->name, O_RDWR | O_CLOEXEC);
	assert_true(v->bytes && v->fd >= 0);
	assert_int_equal(pread(v->fd, v->bytes, v->size, 0), v->size);
	assert_int_equal(load(&b, &v->meta, NULL), 0);
	assert_int_equal(testblock_see(&b.part, NULL, &v->whole), 0);
	assert_true(v->whole.hashes.n > 0 && v->whole.n_damaged == 0);
	block_part_done(&b);
}

static void victim_done(struct victim *v)
{
	print_message("# %zu bytes: refused %u, less than all %u, all %u\n", v->size, v->n_refused, v->n_less,
		      v->n_same);
	(void)close(v->fd);
	free(v->bytes);
	testblock_seen_done(&v->whole);
}

static int see_key(void *arg, const struct key_row *row)
{
	uint64_t *sum = arg;
	*sum += row->hash.low + row->hash.high + (uint64_t)row->arrived_ms;
	return 0;
}

/* The file as it is now: all of it, or less and it says so, or nothing. */
static void look(struct victim *v, size_t where)
{
	struct block_part b;
	struct membudget budget = membudget_of(4 << 20);
	struct testblock_seen seen;
	uint64_t sum = 0;
	int r = load(&b, &v->meta, &budget);
	if (r < 0) {
		assert_true(r == -EBADMSG || r == -EPROTONOSUPPORT || (keys && (r == -ENOKEY || r == -EKEYREJECTED)));
		v->n_refused++;
		return;
	}
	r = testblock_see(&b.part, &budget, &seen);
	if (r < 0 || !testblock_is_within(&seen, &v->whole))
		fail_msg("byte %zu: %d, or something else than there was", where, r);
	if (seen.n_damaged == 0 && seen.hashes.n != v->whole.hashes.n)
		fail_msg("byte %zu: less, and nothing of damage", where);
	r = block_read_keys(&b.pages.file, see_key, &sum, &budget, NULL);
	assert_true(r == 0 || r == -EBADMSG);
	v->n_same += seen.n_damaged == 0;
	v->n_less += seen.n_damaged > 0;
	block_part_done(&b);
	testblock_seen_done(&seen);
	assert_int_equal(budget.used, 0);
}

/* Every `step`-th bit. */
static void flip_bits(size_t step)
{
	struct victim v;
	victim_init(&v);
	for (size_t bit = 0; bit < v.size * 8; bit += step) {
		uint8_t byte = (uint8_t)(v.bytes[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(pwrite(v.fd, &byte, 1, (off_t)(bit / 8)), 1);
		look(&v, bit / 8);
		assert_int_equal(pwrite(v.fd, &v.bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	assert_true(v.n_refused > 0 && v.n_less > 0);
	/* Postings, keys and padding are not looked at here; all else is. */
	assert_true(v.n_same < v.size * 8 / 2);
	victim_done(&v);
}

static void a_flipped_bit_never_makes_other_data(void **state)
{
	(void)state;
	flip_bits(1);
}

static void nor_does_one_of_a_sealed_block(void **state)
{
	(void)state;
	static const char text[] = "2026-a 0101010101010101010101010101010101010101010101010101010101010101\n";
	assert_int_equal(keyring_parse(slice_str(text), &keys, NULL), 0);
	testblock_seal_with = keyring_writer(keys);
	flip_bits(29);
	testblock_seal_with = NULL;
	keyring_free(&keys);
}

static void a_cut_block_is_refused(void **state)
{
	(void)state;
	struct victim v;
	victim_init(&v);
	for (size_t n = v.size; n-- > 0;) {
		assert_int_equal(ftruncate(v.fd, (off_t)n), 0);
		look(&v, n);
	}
	assert_int_equal(v.n_refused, v.size);
	victim_done(&v);
}

/* What a disk brings back of a sector that was lost. */
static void a_hole_never_makes_other_data(void **state)
{
	(void)state;
	static const uint8_t zeros[512];
	struct victim v;
	victim_init(&v);
	for (size_t at = 0; at < v.size; at += 64) {
		size_t n = v.size - at < sizeof(zeros) ? v.size - at : sizeof(zeros);
		assert_int_equal(pwrite(v.fd, zeros, n, (off_t)at), n);
		look(&v, at);
		assert_int_equal(pwrite(v.fd, v.bytes + at, n, (off_t)at), n);
	}
	look(&v, 0);
	assert_int_equal(v.n_same, 1);
	victim_done(&v);
}

static void a_block_larger_than_its_budget_is_refused_and_leaves_nothing(void **state)
{
	(void)state;
	struct block_meta meta;
	struct block_part b;
	block_of(200, 3, &meta);
	struct membudget enough = membudget_of(64 << 20);
	assert_int_equal(load(&b, &meta, &enough), 0);
	block_part_done(&b);
	for (size_t max = 0; max < enough.peak; max += enough.peak / 200 + 1) {
		struct membudget budget = membudget_of(max);
		assert_int_equal(load(&b, &meta, &budget), -ENOBUFS);
		assert_int_equal(budget.used, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_says_what_memory_said),
		cmocka_unit_test(sums_are_sums_of_what_was_merged),
		cmocka_unit_test(a_sum_of_moments_counts_where_each_of_them_does),
		cmocka_unit_test(another_reader_reads_the_same),
		cmocka_unit_test(a_flipped_bit_never_makes_other_data),
		cmocka_unit_test(nor_does_one_of_a_sealed_block),
		cmocka_unit_test(a_cut_block_is_refused),
		cmocka_unit_test(a_hole_never_makes_other_data),
		cmocka_unit_test(a_block_larger_than_its_budget_is_refused_and_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
