package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

// defaultConfig is the configuration file when none is named.
const defaultConfig = "parola.yaml"

// maxConfig bounds a configuration or secret file.
const maxConfig = 1 << 20

// configPath is the file to read, and whether somebody named it.
func (c *invocation) configPath() (path string, named bool) {
	if c.configFile != "" {
		return c.configFile, true
	}
	if c.LookupEnv != nil {
		if path, _ := c.LookupEnv("PAROLA_CONFIG"); path != "" {
			return path, true
		}
	}
	return defaultConfig, false
}

// loadConfig reads file and environment, and gets the secrets. It does not judge the result; app.Open does.
func (c *invocation) loadConfig() (app.Config, error) {
	config, private, err := c.load(app.Source{ReadSecret: readSecret, RunSecret: c.runSecret})
	if err == nil && !private {
		path, _ := c.configPath()
		err = fmt.Errorf("%s holds secrets and every user of this machine can read or change it: run chmod o-rwx %s", path, path)
	}
	return config, err
}

// loadWithout is loadConfig for a command that needs no secret: it looks for none of them.
func (c *invocation) loadWithout() (app.Config, error) {
	none := func() (string, error) { return "", nil }
	config, _, err := c.load(app.Source{
		ReadSecret: func(string) (string, error) { return none() }, RunSecret: func([]string) (string, error) { return none() },
	})
	return config, err
}

// load reads the configuration and says whether the file keeps what secrets it has. The source is where secrets are.
func (c *invocation) load(source app.Source) (config app.Config, kept bool, err error) {
	path, named := c.configPath()
	document, mode, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && c.configuredByEnvironment():
		document = nil
	case errors.Is(err, fs.ErrNotExist):
		return app.Config{}, false, fmt.Errorf("there is no %s: `parola config init` writes one, --config names another", path)
	case err != nil:
		return app.Config{}, false, fmt.Errorf("read configuration: %w", err)
	case mode&writableByAll != 0:
		return app.Config{}, false, fmt.Errorf("every user of this machine can change %s: run chmod o-w %s", path, path)
	}
	source.LookupEnv, source.Environ = c.LookupEnv, c.Environ
	if config, err = app.Load(app.Defaults(), document, source); err != nil {
		return app.Config{}, false, fmt.Errorf("%s: %w", path, err)
	}
	return config, document == nil || mode&openToAll == 0 || !app.HoldsSecrets(document), nil
}

func (c *invocation) configuredByEnvironment() bool {
	for _, pair := range c.Environ {
		if strings.HasPrefix(pair, "PAROLA_ISSUER=") {
			return true
		}
	}
	return false
}

// options is what this program tells internal/app beside the configuration. Diagnostics go to stderr.
func (c *invocation) options(config app.Config) app.Options {
	var level slog.Level
	if level.UnmarshalText([]byte(config.Log.Level)) != nil {
		level = slog.LevelInfo // Check refuses it in a moment
	}
	var handler slog.Handler = slog.NewJSONHandler(c.stderr, &slog.HandlerOptions{Level: level})
	if config.Log.Format == "text" {
		handler = slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: level})
	}
	return app.Options{Release: c.Release, Log: slog.New(handler)}
}

type configCommands struct {
	Init  configInit  `cmd:"" help:"Write a commented configuration file with fresh secrets."`
	Check configCheck `cmd:"" help:"Say what is wrong with the configuration."`
}

type configInit struct {
	File string `arg:"" optional:"" help:"Where to write; the file that --config names, or parola.yaml, when absent."`
}

// Help teaches.
func (configInit) Help() string {
	return `The file explains every setting, holds a fresh root secret, and can be read by its owner alone. A file that exists is never overwritten: its root secret may be the only key to a database.

Example:

    parola config init /etc/parola/parola.yaml

Next: fill in the issuer and the accounts with Meta and the SMS carrier, then run parola config check. Keep a copy of the root secret apart from the database.`
}

// Run writes the file.
func (cmd configInit) Run(c *invocation) error {
	path := cmd.File
	if path == "" {
		path, _ = c.configPath()
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is not overwritten: its secrets may be the only key to a database", path)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.WriteString(app.InitialConfig())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(path) // half a file would only be in the way
		return fmt.Errorf("write configuration: %w", err)
	}
	c.printf("wrote %s with fresh secrets; only its owner can read it\n", path)
	c.printf("next: fill in issuer, whatsapp and sms, then run `parola config check`\n")
	return nil
}

type configCheck struct{}

// Help teaches.
func (configCheck) Help() string {
	return `Reads the file, the environment and the secrets' files as parola serve would, and says everything that is wrong, each with what to do. It neither opens the database nor calls a carrier.

Example:

    parola config check --config /etc/parola/parola.yaml

Next: parola serve.`
}

// Run checks.
func (configCheck) Run(c *invocation) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	if err := config.Check(); err != nil {
		problems := strings.Split(err.Error(), "\n")
		for _, problem := range problems {
			fmt.Fprintf(c.stderr, "- %s\n", printable(problem))
		}
		return fmt.Errorf("%d %s to settle in the configuration", len(problems), plural(len(problems), "thing", "things"))
	}
	var channels []string
	if config.WhatsApp.Enabled {
		channels = append(channels, "whatsapp")
	}
	if carriers := config.SMS.Carriers; len(carriers) > 0 {
		channels = append(channels, "sms by "+strings.Join(carriers, ", then "))
	}
	for _, w := range config.Warnings() {
		c.printf("note: %s\n", w)
	}
	c.printf("the configuration is complete: issuer %s, database %s, passcodes by %s\n",
		config.Issuer, config.Database.Driver, strings.Join(channels, " and "))
	return nil
}
