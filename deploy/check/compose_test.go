package check

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const repository = "../.."

// compose loads docker-compose.yml as docker compose does, beside what init.sh makes for a host.
func compose(t *testing.T, host string) *types.Project {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(filepath.Join(repository, "deploy"))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "/bin/sh", filepath.Join(dir, "deploy/compose/init.sh"), host).CombinedOutput(); err != nil {
		t.Fatalf("init.sh: %v\n%s", err, said)
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")}, cli.WithWorkingDirectory(dir),
		cli.WithEnvFiles(filepath.Join(dir, ".env")), cli.WithDotEnv, cli.WithDefaultProfiles())
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	for _, files := range []map[string]string{configFiles(project), secretFiles(project)} {
		for name, path := range files {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	return project
}

func configFiles(p *types.Project) map[string]string {
	files := make(map[string]string)
	for _, s := range p.Services {
		for _, c := range s.Configs {
			files[s.Name+" "+c.Source] = p.Configs[c.Source].File
		}
	}
	return files
}

func secretFiles(p *types.Project) map[string]string {
	files := make(map[string]string)
	for _, s := range p.Services {
		for _, c := range s.Secrets {
			files[s.Name+" "+c.Source] = p.Secrets[c.Source].File
		}
	}
	return files
}

func TestComposeHasTheServicesOfEachProfile(t *testing.T) {
	production := []string{"node1", "node2", "postgres", "proxy"}
	if got := slices.Sorted(maps.Keys(compose(t, "login.shop.test").Services)); !slices.Equal(got, production) {
		t.Errorf("in production: %v", got)
	}
	demo := slices.Concat([]string{"api", "demo-clients", "demo-people", "handset"}, production, []string{"webapp"})
	if got := slices.Sorted(maps.Keys(compose(t, "demo").Services)); !slices.Equal(got, demo) {
		t.Errorf("in the demo: %v", got)
	}
}

func TestSUP06_ComposeHardensEveryService(t *testing.T) {
	for name, s := range compose(t, "demo").Services {
		uid, _, _ := strings.Cut(s.User, ":")
		switch {
		case !s.ReadOnly, s.Privileged, !slices.Equal(s.CapDrop, []string{"ALL"}), !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
			t.Errorf("%s is not hardened: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		case uid == "" || uid == "0":
			t.Errorf("%s runs as %q", name, s.User)
		case s.PidsLimit == 0:
			t.Errorf("%s may start any number of processes", name)
		case len(s.CapAdd) > 0 && name != "proxy", len(s.Ports) > 0 && name != "proxy":
			t.Errorf("%s has capabilities %v and ports %v", name, s.CapAdd, s.Ports)
		}
		for _, secret := range s.Secrets {
			if secret.Source == "root" && s.Image != "parola:devel" || strings.HasPrefix(secret.Source, "postgres_") && name != "postgres" {
				t.Errorf("%s sees the secret %s", name, secret.Source)
			}
		}
		for variable := range s.Environment {
			for _, word := range []string{"PASSWORD", "SECRET", "TOKEN", "KEY"} {
				if strings.Contains(variable, word) && !strings.HasSuffix(variable, "_FILE") {
					t.Errorf("%s has a secret in its environment: %s", name, variable)
				}
			}
		}
	}
}

func TestComposeStopsNodesGracefullyAndWaitsForTheirHealth(t *testing.T) {
	p := compose(t, "login.shop.test")
	for _, name := range []string{"node1", "node2"} {
		s := p.Services[name]
		if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 3*time.Second+stopWithin+3*time.Second {
			t.Errorf("%s may not finish: stop_grace_period %v", name, s.StopGracePeriod)
		}
		if s.DependsOn["postgres"].Condition != types.ServiceConditionHealthy || p.Services["proxy"].DependsOn[name].Condition != types.ServiceConditionHealthy {
			t.Errorf("%s, or the proxy for it, does not wait", name)
		}
		if got := []string(s.HealthCheck.Test); !slices.Equal(got, []string{"CMD", "/usr/bin/parola", "health"}) {
			t.Errorf("%s is healthy by %v", name, got)
		}
		if *s.Environment["PAROLA_ISSUER"] != "https://login.shop.test" {
			t.Errorf("%s has the issuer %s", name, *s.Environment["PAROLA_ISSUER"])
		}
		subnet := p.Networks["front"].Ipam.Config[0].Subnet
		if *s.Environment["PAROLA_SERVER_TRUSTED_PROXIES"] != subnet {
			t.Errorf("%s trusts %s, the proxy is in %s", name, *s.Environment["PAROLA_SERVER_TRUSTED_PROXIES"], subnet)
		}
	}
	database := p.Services["postgres"]
	if networks := slices.Collect(maps.Keys(database.Networks)); !slices.Equal(networks, []string{"back"}) || !p.Networks["back"].Internal {
		t.Errorf("the database is on %v", networks)
	}
}
