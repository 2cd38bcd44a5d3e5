package deploy

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/parola-id/parola/e2e/harness"
)

// project is docker-compose.yml as far as a test runs it.
type project struct {
	Services         map[string]service
	Configs, Secrets map[string]struct{ File string }

	dir, out string
	volumes  map[string]string
	t        *testing.T
}

// service is one of its services.
type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	Configs     []struct{ Source, Target string }
	Secrets     []string
	Volumes     []string
	Tmpfs       []string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Healthcheck struct{ Test []string }
	Networks    any
}

// addresses are those of the services in the network of the test; see inOwnNetwork.
var addresses = map[string]string{
	"proxy": "127.0.0.10", "node1": "127.0.0.11", "node2": "127.0.0.12", "postgres": "127.0.0.13",
	"handset": "127.0.0.14", "webapp": "127.0.0.15", "api": "127.0.0.16",
}

var variable = regexp.MustCompile(`\$\{([A-Z_]+)(?::([-?])([^}]*))?\}`)

// openProject reads the file as docker compose would beside this .env: variables first.
func openProject(t *testing.T, dir, out string) *project {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	env := dotenv(t, filepath.Join(dir, ".env"))
	// The only place where the network of the test differs from the file's: who the proxy is seen as.
	env["PAROLA_SUBNET"] = "127.0.0.0/8"
	filled := variable.ReplaceAllStringFunc(string(text), func(v string) string {
		m := variable.FindStringSubmatch(v)
		value := env[m[1]]
		if value == "" && m[2] == "-" {
			value = m[3]
		}
		if value == "" {
			t.Fatalf("docker-compose.yml wants %s", v)
		}
		return value
	})
	p := &project{dir: dir, out: out, volumes: make(map[string]string), t: t}
	if err := yaml.Unmarshal([]byte(filled), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func dotenv(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(name, "#") {
			env[name] = value
		}
	}
	return env
}

// container is the sandbox for a service.
func (p *project) container(name string) container {
	p.t.Helper()
	s, known := p.Services[name]
	if !known || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.User == "" {
		p.t.Fatalf("service %s is not there or not hardened: %+v", name, s)
	}
	c := container{out: p.out, user: s.User, readOnly: s.ReadOnly, tmpfs: slices.Clone(s.Tmpfs), environment: maps.Clone(s.Environment)}
	if c.environment == nil {
		c.environment = make(map[string]string)
	}
	switch image, _, _ := strings.Cut(s.Image, ":"); image {
	case "parola":
		c.image = "parola"
	case "parola-demo":
		c.image = "demo"
	default:
		c.image = "host"
	}
	for _, f := range s.Configs {
		c.binds = append(c.binds, bind{from: p.path(p.Configs[f.Source].File), to: f.Target})
	}
	for _, f := range s.Secrets {
		c.binds = append(c.binds, bind{from: p.path(p.Secrets[f].File), to: "/run/secrets/" + f})
	}
	for _, v := range s.Volumes {
		from, to, _ := strings.Cut(v, ":")
		c.binds = append(c.binds, bind{from: p.volume(from), to: to, writable: true})
	}
	c.binds = append(c.binds, bind{from: p.hosts(), to: "/etc/hosts"})
	if c.image == "host" {
		c.binds = append(c.binds, bind{from: p.passwd(s.User), to: "/etc/passwd"})
	}
	if c.image == "parola" {
		// Two containers may both listen on port 8080; here each has its own address for it.
		for _, listener := range []string{"PAROLA_SERVER_LISTEN=8080", "PAROLA_SERVER_INTERNAL_LISTEN=9090"} {
			setting, port, _ := strings.Cut(listener, "=")
			c.environment[setting] = addresses[name] + ":" + port
		}
	}
	return c
}

func (p *project) path(file string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, file)
	if _, err := os.Stat(path); err != nil {
		p.t.Fatalf("docker-compose.yml: %v", err)
	}
	return path
}

// volume is a directory of the project, or one that takes the place of a volume.
func (p *project) volume(name string) string {
	p.t.Helper()
	if strings.HasPrefix(name, "./") {
		return p.path(name)
	}
	if p.volumes[name] == "" {
		p.volumes[name] = filepath.Join(p.dir, "volume-"+name)
		if err := os.Mkdir(p.volumes[name], 0o700); err != nil {
			p.t.Fatal(err)
		}
		giveAway(p.t, p.volumes[name])
	}
	return p.volumes[name]
}

// hosts is what the engine's DNS would answer.
func (p *project) hosts() string {
	p.t.Helper()
	path := filepath.Join(p.dir, "hosts")
	var text strings.Builder
	for name, address := range addresses {
		fmt.Fprintf(&text, "%s %s\n", address, name)
	}
	for _, alias := range p.aliases() {
		fmt.Fprintf(&text, "%s %s\n", addresses["proxy"], alias)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// passwd has the user of a container, whose name initdb asks for; the official image brings a library that makes one up.
func (p *project) passwd(user string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, "passwd")
	if err := os.WriteFile(path, []byte("parola:x:"+user+"::/tmp:/bin/false\n"), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// aliases are the names that lead to the proxy from inside.
func (p *project) aliases() (names []string) {
	p.t.Helper()
	networks, _ := p.Services["proxy"].Networks.(map[string]any)
	front, _ := networks["front"].(map[string]any)
	list, _ := front["aliases"].([]any)
	for _, name := range list {
		names = append(names, fmt.Sprint(name))
	}
	return names
}

// up starts a service and waits until its health check is content, where it has one.
func (p *project) up(names ...string) map[string]*harness.Process {
	p.t.Helper()
	running := make(map[string]*harness.Process)
	for _, name := range names {
		running[name] = p.container(name).start(p.t, p.command(name)...)
	}
	for _, name := range names {
		p.wait(name, running[name])
	}
	return running
}

func (p *project) wait(name string, process *harness.Process) {
	p.t.Helper()
	check := p.Services[name].Healthcheck.Test
	harness.Eventually(p.t, 30*time.Second, name+" is healthy", func() bool {
		if !process.Running() {
			p.t.Fatalf("%s ended:\n%s", name, process.Output())
		}
		return check == nil || p.healthy(name)
	})
}

// healthy runs the health check of a service.
func (p *project) healthy(name string) bool {
	p.t.Helper()
	check := p.Services[name].Healthcheck.Test[1:]
	if check[0] != "nc" {
		return p.container(name).succeeds(p.t, check...)
	}
	// The netcat of the image says whether one can connect.
	conn, err := net.Dial("tcp", net.JoinHostPort(addresses[name], check[len(check)-1]))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// command is what the image of a service makes of its command.
func (p *project) command(name string) []string {
	p.t.Helper()
	command := p.Services[name].Command
	switch {
	case name == "postgres":
		return append([]string{"/bin/sh", "-euc", postgresEntrypoint, "postgres"}, command...)
	case p.container(name).image == "parola" && command == nil:
		return []string{"serve"}
	}
	return command
}

// postgresEntrypoint is what the entry point of the official image does for an empty data directory, and then starts.
const postgresEntrypoint = `
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
if [ ! -e "$PGDATA" ]; then
	"$bin/initdb" -D "$PGDATA" -U postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=scram-sha-256 --auth-host=scram-sha-256 $POSTGRES_INITDB_ARGS >/dev/null
	printf "host all all all scram-sha-256\n" >>"$PGDATA/pg_hba.conf"
	"$bin/pg_ctl" -D "$PGDATA" -w -s -l /tmp/log -o "$* -c listen_addresses='' -c unix_socket_directories=/run/postgresql" start
	for file in /docker-entrypoint-initdb.d/*.sql; do
		PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") "$bin/psql" -q -v ON_ERROR_STOP=1 -h /run/postgresql -U postgres -d postgres -f "$file"
	done
	"$bin/pg_ctl" -D "$PGDATA" -w -s -m fast stop
fi
exec "$bin/postgres" -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/run/postgresql "$@"
`
