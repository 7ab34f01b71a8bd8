/* How a Kubernetes API is reached: in a pod, by a kubeconfig, by settings of its own; and what is refused
 * with which mend. */
#include <stdio.h>

#include "fixture.h"
#include "kube/access.h"

static struct fx_dir dir;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_dir_remove(&dir);
    return 0;
}

/* A kubeconfig whose cluster and user have these members. */
static const char *kubeconfig(const char *cluster, const char *user) {
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_printf(&text,
                  "apiVersion: v1\nkind: Config\npreferences: {colors: true}\n"
                  "users:\n- name: nobody\n  user: {token: wrong}\n- user:\n    %s\n  name: me\n"
                  "clusters:\n- {name: other, cluster: {server: \"https://other\"}}\n"
                  "- name: here\n  cluster:\n    server: https://api.example:6443/\n    %s\n"
                  "contexts:\n- {name: c0, context: {cluster: other, user: nobody}}\n"
                  "- {name: c1, context: {namespace: x, cluster: here, user: me}}\ncurrent-context: c1\n",
                  user, cluster);
    fx_write(&dir, "kubeconfig", text.p);
    return fx_path(&dir, "kubeconfig");
}

static enum eb_rc load(const char *path, struct eb_kube_access *ret, struct eb_err *err) {
    struct eb_kube_config c = {.kubeconfig = (char *)(uintptr_t)path};
    *err = (struct eb_err){0};
    return eb_kube_access_load(&c, ret, err);
}

static struct eb_kube_access loaded(const char *path) {
    struct eb_kube_access a = {0};
    struct eb_err err;
    if (load(path, &a, &err) != EB_OK)
        fail_msg("%s", err.text);
    return a;
}

static void takes_what_the_context_names(void **state) {
    (void)state;
    EB_CLEANUP(eb_kube_access_done)
    struct eb_kube_access a = loaded(kubeconfig("certificate-authority: ca/ca.pem", "token: \"abc.def\""));
    char ca[200];
    (void)snprintf(ca, sizeof ca, "%s/ca/ca.pem", dir.path);
    assert_string_equal(a.url, "https://api.example:6443");
    assert_string_equal(a.ca_file, ca);
    assert_true(eb_str_eqz(eb_secret_get(a.token), "abc.def"));
    assert_null(a.token_file);
    assert_null(a.cert_file);
    assert_null(a.server_name);
    assert_non_null(a.from);
}

static void data_wins_over_files_and_a_token_file_over_a_token(void **state) {
    (void)state;
    EB_CLEANUP(eb_kube_access_done)
    struct eb_kube_access a =
        loaded(kubeconfig("certificate-authority-data: Q0E=\n    certificate-authority: /ca\n"
                          "    tls-server-name: kubernetes",
                          "token: t\n    tokenFile: /run/token\n    client-certificate-data: Q0VSVA==\n"
                          "    client-certificate: /cert\n    client-key: keys/key.pem\n    exec: null"));
    assert_null(a.ca_file);
    assert_true(eb_str_eqz(eb_secret_get(a.ca_data), "CA"));
    assert_string_equal(a.server_name, "kubernetes");
    assert_null(a.token);
    assert_string_equal(a.token_file, "/run/token");
    assert_null(a.cert_file);
    assert_true(eb_str_eqz(eb_secret_get(a.cert_data), "CERT"));
    char key[200];
    (void)snprintf(key, sizeof key, "%s/keys/key.pem", dir.path);
    assert_string_equal(a.key_file, key);
}

static void a_json_kubeconfig_is_one(void **state) {
    (void)state;
    fx_write(&dir, "json",
             "{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"k\","
             "\"user\":\"u\"}}],"
             "\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":\"http://127.0.0.1:8001\"}}],"
             "\"users\":[{\"name\":\"u\",\"user\":{\"token\":\"t\"}}]}");
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = loaded(fx_path(&dir, "json"));
    assert_string_equal(a.url, "http://127.0.0.1:8001");
}

static const struct {
    const char *cluster, *user, *says;
} refused[] = {
    {"x: y", "exec: {command: aws}", "exec"},
    {"x: y", "exec:\n      apiVersion: v1\n      args: [a, b]", "ServiceAccount"},
    {"x: y", "auth-provider: {name: gcp}", "auth-provider"},
    {"x: y", "username: me\n    password: secret-word", "username"},
    {"x: y", "token: t\n    as: somebody", "impersonation"},
    {"x: y", "token: t\n    as-groups: [a]", "impersonation"},
    {"x: y", "x: y", "neither token"},
    {"x: y", "client-certificate: c", "client-key is missing"},
    {"x: y", "client-key-data: Q0E=", "client-certificate is missing"},
    {"x: y", "client-key-data: \"?\"\n    client-certificate: c", "client-key-data is no base64"},
    {"certificate-authority-data: \"Q0E\"", "token: t", "certificate-authority-data is no base64"},
    {"insecure-skip-tls-verify: true", "token: t", "insecure-skip-tls-verify"},
    {"insecure-skip-tls-verify: yes", "token: t", "insecure-skip-tls-verify"},
    {"proxy-url: http://proxy", "token: t", "proxy-url"},
};

static void refuses_what_is_not_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(refused); i++) {
        struct eb_kube_access a = {0};
        struct eb_err err;
        const char *path = kubeconfig(refused[i].cluster, refused[i].user);
        assert_int_equal(load(path, &a, &err), EB_E_INVALID);
        assert_null(a.url);
        if (!strstr(err.text, refused[i].says) || !strstr(err.text, "kubeconfig"))
            fail_msg("%s: %s", refused[i].says, err.text);
        assert_null(strstr(err.text, "secret-word"));
    }
}

static const struct {
    const char *text, *says;
} broken[] = {
    {"", "no mapping"},
    {"[]", "no mapping"},
    {"{}", "current-context"},
    {"current-context: c", "contexts"},
    {"current-context: c\ncontexts: {}", "no list"},
    {"current-context: c\ncontexts: [{name: d, context: {cluster: k, user: u}}]", "none called \"c\""},
    {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]", "no cluster or no user"},
    {"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]", "no clusters"},
    {"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, "
     "cluster: {}}]",
     "no server"},
    {"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
     "clusters: [{name: k, cluster: {server: \"https://a\"}}]\nusers: [{name: v, user: {token: t}}]",
     "none called \"u\""},
    {"current-context: c\ncontexts: [", "line "},
};

static void refuses_what_is_no_kubeconfig(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(broken); i++) {
        struct eb_kube_access a = {0};
        struct eb_err err;
        fx_write(&dir, "broken", broken[i].text);
        assert_int_not_equal(load(fx_path(&dir, "broken"), &a, &err), EB_OK);
        if (!strstr(err.text, broken[i].says) || !strstr(err.text, "/broken"))
            fail_msg("%s: %s", broken[i].says, err.text);
    }
    struct eb_kube_access a = {0};
    struct eb_err err;
    assert_int_equal(load(fx_path(&dir, "absent"), &a, &err), EB_E_IO);
    assert_int_equal(load("/nowhere/a:/nowhere/b", &a, &err), EB_E_INVALID);
    assert_non_null(strstr(err.text, "--flatten"));
}

static enum eb_rc from(struct eb_kube_config c, struct eb_kube_access *ret, struct eb_err *err) {
    *err = (struct eb_err){0};
    return eb_kube_access_load(&c, ret, err);
}

static const struct {
    const char *url, *token;
    bool good;
} urls[] = {
    {"https://api:6443", "t", true},
    {"https://api/k8s/clusters/c-1/", "t", true},
    {"https://[::1]:6443", "t", true},
    {"http://127.0.0.1:8001", NULL, true},
    {"http://localhost:8001", NULL, true},
    {"https://api:6443", NULL, false}, /* nothing to show */
    {"http://api:6443", "t", false},
    {"http://127.0.0.1.example", "t", false},
    {"http://128.0.0.1", "t", false},
    {"ftp://api", "t", false},
    {"api:6443", "t", false},
    {"https://", "t", false},
    {"https://:6443", "t", false},
    {"https://api:0", "t", false},
    {"https://api:65536", "t", false},
    {"https://api:6443x", "t", false},
    {"https://me@api", "t", false},
    {"https://api?x=y", "t", false},
    {"https://api/#x", "t", false},
    {"https://a pi", "t", false},
};

/* What the file says now is used; a broken one changes nothing. */
static void a_refresh_takes_what_it_says_now(void **state) {
    (void)state;
    struct fx_dir d = fx_dir_make();
    static const char text[] = "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                               "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                               "clusters: [{name: k, cluster: {server: \"https://127.0.0.1:1\"}}]\n"
                               "users: [{name: u, user: {token: %s}}]\n";
    char body[400], path[300];
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = {0};
    struct eb_err err = {0};
    (void)snprintf(path, sizeof path, "%s", fx_path(&d, "config"));
    struct eb_kube_config c = {.kubeconfig = path};
    (void)snprintf(body, sizeof body, text, "first");
    fx_write(&d, "config", body);
    assert_int_equal(eb_kube_access_load(&c, &a, &err), EB_OK);
    (void)snprintf(body, sizeof body, text, "second");
    fx_write(&d, "config", body);
    assert_int_equal(eb_kube_access_refresh(&a, &err), EB_OK);
    assert_true(eb_str_eqz(eb_secret_get(a.token), "second"));
    fx_write(&d, "config", "apiVersion: v1\nkind: Con");
    assert_int_not_equal(eb_kube_access_refresh(&a, &err), EB_OK);
    assert_true(eb_str_eqz(eb_secret_get(a.token), "second"));
    struct eb_kube_access none = {0};
    assert_int_equal(eb_kube_access_refresh(&none, &err), EB_OK); /* nothing to read */
    fx_dir_remove(&d);
}

static void checks_urls(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(urls); i++) {
        EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = {0};
        struct eb_err err;
        struct eb_kube_config c = {.api_url = (char *)(uintptr_t)urls[i].url,
                                   .token_file = (char *)(uintptr_t)urls[i].token};
        enum eb_rc rc = from(c, &a, &err);
        if ((rc == EB_OK) != urls[i].good)
            fail_msg("%s: %s", urls[i].url, eb_err_text(&err, rc));
        assert_true(rc == EB_OK || rc == EB_E_INVALID);
    }
}

static void in_a_pod(void **state) {
    (void)state;
    struct eb_kube_access a = {0};
    struct eb_err err;
    struct eb_kube_config c = {.in_cluster = true};
    (void)unsetenv("KUBERNETES_SERVICE_HOST");
    (void)setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(from(c, &a, &err), EB_E_INVALID);
    assert_non_null(strstr(err.text, "KUBERNETES_SERVICE_HOST"));
    (void)setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(from(c, &a, &err), EB_OK);
    assert_string_equal(a.url, "https://[fd00::1]:443");
    assert_string_equal(a.ca_file, EB_KUBE_POD_FILES "/ca.crt");
    assert_string_equal(a.token_file, EB_KUBE_POD_FILES "/token");
    eb_kube_access_done(&a);
    (void)setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    c.token_file = (char *)(uintptr_t) "/other/token";
    assert_int_equal(from(c, &a, &err), EB_OK);
    assert_string_equal(a.url, "https://10.0.0.1:443");
    assert_string_equal(a.token_file, "/other/token");
    eb_kube_access_done(&a);
}

static void contradictions_and_nothing(void **state) {
    (void)state;
    struct eb_kube_access a = {0};
    struct eb_err err;
    char x[] = "/x";
    assert_int_equal(from((struct eb_kube_config){0}, &a, &err), EB_E_INVALID);
    assert_non_null(strstr(err.text, "in-cluster"));
    assert_non_null(strstr(err.text, "kubeconfig"));
    struct eb_kube_config both[] = {{.kubeconfig = x, .in_cluster = true},
                                    {.kubeconfig = x, .api_url = x},
                                    {.kubeconfig = x, .api_ca = x},
                                    {.kubeconfig = x, .token_file = x}};
    static const char *const named[] = {"in-cluster", "api-url", "api-ca", "token-file"};
    for (size_t i = 0; i < EB_COUNT_OF(both); i++) {
        assert_int_equal(from(both[i], &a, &err), EB_E_INVALID);
        assert_non_null(strstr(err.text, named[i]));
        assert_non_null(strstr(err.text, "keep one"));
    }
}

static size_t faults(struct eb_kube_config c) {
    eb_auto_findings struct eb_findings f = {0};
    eb_kube_access_check(&c, "kubernetes", &f);
    return f.errors;
}

static void check_reads_the_files(void **state) {
    (void)state;
    fx_write(&dir, "ca.pem", "-----BEGIN CERTIFICATE-----\n");
    fx_write(&dir, "empty", "\n");
    fx_write(&dir, "token", "t\n");
    char url[] = "https://api", ca[100], token[100], empty[100], absent[100];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", dir.path);
    (void)snprintf(token, sizeof token, "%s/token", dir.path);
    (void)snprintf(empty, sizeof empty, "%s/empty", dir.path);
    (void)snprintf(absent, sizeof absent, "%s/absent", dir.path);
    assert_int_equal(faults((struct eb_kube_config){.api_url = url, .api_ca = ca, .token_file = token}), 0);
    assert_int_equal(faults((struct eb_kube_config){.api_url = url, .token_file = token}), 0);
    assert_int_equal(faults((struct eb_kube_config){.api_url = url, .api_ca = empty, .token_file = token}),
                     1);
    assert_int_equal(faults((struct eb_kube_config){.api_url = url, .api_ca = absent, .token_file = empty}),
                     2);
    assert_int_equal(faults((struct eb_kube_config){.api_url = url, .api_ca = ca, .token_file = absent}), 1);
    assert_int_equal(faults((struct eb_kube_config){0}), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_context_names),
        cmocka_unit_test(data_wins_over_files_and_a_token_file_over_a_token),
        cmocka_unit_test(a_json_kubeconfig_is_one),
        cmocka_unit_test(refuses_what_is_not_taken),
        cmocka_unit_test(refuses_what_is_no_kubeconfig),
        cmocka_unit_test(a_refresh_takes_what_it_says_now),
        cmocka_unit_test(checks_urls),
        cmocka_unit_test(in_a_pod),
        cmocka_unit_test(contradictions_and_nothing),
        cmocka_unit_test(check_reads_the_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
