/* SPDX-License-Identifier: Apache-2.0 */
/* The name under which people look for a process. */
#include "collect/service_name.h"
#include "unit.h"

#include "base/cleanup.h"

#define ID  "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
#define ID2 "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"

static const struct {
	const char *text, *unit, *container;
} rows[] = {
	/* systemd, cgroup v2 and v1 */
	{ "0::/system.slice/nginx.service\n", "nginx", "" },
	{ "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main", "" },
	{ "12:pids:/system.slice/cron.service\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/"
	  "cron.service\n",
	  "cron", "" },
	{ "0::/system.slice/my\\x2dapp.service\n", "my-app", "" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope\n", "", "" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service\n", "pipewire", "" },
	{ "0::/user.slice/user-1000.slice/session-3.scope\n", "", "" },
	{ "0::/init.scope\n", "", "" },
	{ "0::/\n", "", "" },
	/* Docker: cgroupfs and systemd drivers */
	{ "12:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/docker/" ID "\n", "", "4f53cda18c2b" },
	{ "0::/system.slice/docker-" ID ".scope\n", "", "4f53cda18c2b" },
	{ "0::/docker/" ID "/docker/" ID2 "\n", "", "6b86b273ff34" },
	{ "0::/system.slice/docker.service\n", "docker", "" },
	/* Kubernetes: Docker, containerd, CRI-O */
	{ "11:memory:/kubepods/burstable/pod2d3e8d28-1b3f-4d3c-8f4c-0c7f5f4c8f0a/" ID "\n", "", "4f53cda18c2b" },
	{ "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2d3e8d28.slice/cri-containerd-" ID
	  ".scope\n",
	  "", "4f53cda18c2b" },
	{ "0::/system.slice/containerd.service/kubepods-burstable-pod2d3e.slice:cri-containerd:" ID "\n", "containerd",
	  "4f53cda18c2b" },
	{ "0::/kubepods.slice/kubepods-pod2d3e.slice/crio-" ID ".scope\n", "", "4f53cda18c2b" },
	{ "0::/machine.slice/crio-conmon-" ID ".scope\n", "", "" },
	{ "0::/kubelet.slice/kubelet.service\n", "kubelet", "" },
	/* Podman */
	{ "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container\n", "",
	  "4f53cda18c2b" },
	{ "0::/machine.slice/libpod-" ID ".scope\n", "", "4f53cda18c2b" },
	{ "0::/machine.slice/libpod-conmon-" ID ".scope\n", "", "" },
	/* ctr, ECS on EC2 and Fargate */
	{ "0::/default/" ID "\n", "", "4f53cda18c2b" },
	{ "9:cpu:/ecs/cluster/0123456789abcdef0123456789abcdef/" ID "\n", "", "4f53cda18c2b" },
	{ "9:cpu:/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890\n", "",
	  "0123456789abcdef0123456789abcdef-1234567890" },
	/* LXC, also with systemd inside, and nspawn */
	{ "0::/lxc/web\n", "", "web" },
	{ "0::/lxc.payload.web/system.slice/nginx.service\n", "nginx", "web" },
	{ "0::/lxc.payload/web2\n", "", "web2" },
	{ "0::/lxc.monitor.web\n", "", "" },
	{ "0::/machine.slice/machine-deb.scope/payload\n", "", "deb" },
	/* Only some v1 hierarchies know the container */
	{ "3:cpuset:/\n2:cpu:/docker/" ID "\n1:name=systemd:/system.slice/docker.service\n", "", "4f53cda18c2b" },
	/* Not what it seems */
	{ "", "", "" },
	{ "::::\n", "", "" },
	{ "no colon at all", "", "" },
	{ "0::/.service\n", "", "" },
	{ "0::/x" ID "\n", "", "" },
	{ "0::/" ID "0\n", "", "" },
	{ "0::/system.slice/bad\x01\xffname.service\n", "bad??name", "" },
};

static void test_cgroup_paths(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cgroup_name name;
		cgroup_name_parse(slice_str(rows[i].text), &name);
		if (strcmp(name.unit, rows[i].unit) != 0 || strcmp(name.container, rows[i].container) != 0)
			fail_msg("%s: unit \"%s\" container \"%s\"", rows[i].text, name.unit, name.container);
	}
}

static void check(const char *environment, size_t size, const char *cgroup, const char *comm, const char *expected)
{
	struct cgroup_name name;
	char got[SERVICE_NAME_MAX + 1];
	cgroup_name_parse(slice_str(cgroup), &name);
	service_name(slice_of(environment, size), &name, slice_str(comm), got);
	assert_string_equal(got, expected);
}

static void test_precedence(void **state)
{
	static const char both[] = "WICK_SERVICE=wick\0OTEL_SERVICE_NAME=otel", one[] = "WICK_SERVICE=wick";
	check(both, sizeof(both), "0::/system.slice/nginx.service\n", "nginx", "otel");
	check(one, sizeof(one), "0::/system.slice/nginx.service\n", "nginx", "wick");
	check("", 0, "0::/system.slice/nginx.service\n", "worker", "nginx");
	check("", 0, "0::/system.slice/docker-" ID ".scope\n", "node", "4f53cda18c2b");
	check("", 0, "0::/system.slice/containerd.service/x:cri-containerd:" ID "\n", "node", "4f53cda18c2b");
	check("", 0, "0::/lxc.payload.web/system.slice/nginx.service\n", "worker", "nginx");
	check("", 0, "0::/user.slice/session-1.scope\n", "bash", "bash");
	check("", 0, "", "", "?");
}

static void test_names_are_clean(void **state)
{
	static const char odd[] = "OTEL_SERVICE_NAME=a\x01\n\xff\xc3\xa9 b";
	check(odd, sizeof(odd), "", "x", "a???\xc3\xa9 b");
	char long_name[1000] = "OTEL_SERVICE_NAME=", expected[SERVICE_NAME_MAX + 1];
	memset(long_name + strlen(long_name), 'n', 600);
	memset(expected, 'n', SERVICE_NAME_MAX);
	expected[SERVICE_NAME_MAX] = 0;
	check(long_name, sizeof(long_name), "", "x", expected);
	/* No half character at the end. */
	for (size_t i = 0; i < 300; i++)
		memcpy(long_name + strlen("OTEL_SERVICE_NAME=") + 3 * i, "\xe2\x82\xac", 3);
	char got[SERVICE_NAME_MAX + 1];
	struct cgroup_name none = { 0 };
	service_name(slice_of(long_name, 18 + 900), &none, slice_str("x"), got);
	assert_int_equal(strlen(got), SERVICE_NAME_MAX / 3 * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_paths),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_names_are_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
