package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/parola-id/parola/internal/app"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // also when the doctor could not look
)

// Main is the program without the process around it; tests run it too.
type Main struct {
	// LookupEnv and Environ are the environment; nil is an empty one.
	LookupEnv func(string) (string, bool)
	Environ   []string
	// Release is the version that `parola version` and the events tell.
	Release string
}

// commands is the whole command line.
type commands struct {
	Config string `placeholder:"FILE" help:"Configuration file; else the environment's PAROLA_CONFIG, else parola.yaml."`

	Serve   serveCommand   `cmd:"" help:"Run the provider."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema up to this release."`
	Conf    configCommands `cmd:"" name:"config" help:"Write and check the configuration."`

	Database databaseCommands `cmd:"" help:"Carry an installation from one database to another."`

	User     userCommands     `cmd:"" help:"The people who sign in."`
	Session  sessionCommands  `cmd:"" help:"Signed-in browsers."`
	Client   clientCommands   `cmd:"" help:"The applications that people sign in to."`
	Keys     keysCommands     `cmd:"" help:"The keys that sign tokens."`
	Secrets  secretsCommands  `cmd:"" help:"The root secret, and its replacement."`
	Audit    auditCommands    `cmd:"" help:"What happened, and whether the record of it is whole."`
	WhatsApp whatsAppCommands `cmd:"" name:"whatsapp" help:"The template, number and webhook at Meta."`
	Delivery deliveryCommands `cmd:"" help:"What messages cost and what arrived."`
	Rates    ratesCommands    `cmd:"" help:"What a message costs."`
	Fraud    fraudCommands    `cmd:"" help:"The defence against SMS pumping."`
	Health   healthCommand    `cmd:"" help:"Say whether the server on this machine is ready."`
	Doctor   doctorCommand    `cmd:"" help:"Look at everything that makes passcodes not arrive."`
	Circuit  circuitCommands  `cmd:"" help:"What messages are kept from because a carrier does not work."`
	Version  versionCommand   `cmd:"" help:"Say which release this is."`
}

const description = `Parola is an OpenID Connect provider whose second factor is a passcode on WhatsApp, and by SMS when WhatsApp does not get through.

A new installation:

    parola config init            # writes parola.yaml with fresh secrets; fill in your accounts
    parola config check           # says what is missing
    parola user add ada --phone "+39 347 123 4567" --phone-verified
    parola client add --name Shop --redirect-uri https://shop.example/callback
    parola serve

Each command explains itself: parola user add --help`

// exit carries an exit code out of kong, which would end the process.
type exit int

// Run does what args say and returns the exit code.
func (m Main) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case exit:
			code = int(p)
		default:
			panic(p)
		}
	}()
	var c commands
	parser, err := kong.New(&c,
		kong.Name("parola"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic("parola: command line: " + err.Error()) // a mistake in the tags above
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return m.misused(stderr, parsed, err)
	}
	call := &invocation{
		Main: m, ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, configFile: c.Config,
	}
	err = parsed.Run(call)
	var (
		usage *usageError
		blind *couldNotLook
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUnwell):
		return exitFailed // what is wrong has been printed
	case errors.As(err, &blind):
		fmt.Fprintf(stderr, "parola: %s\n", printableLines(err.Error()))
		return exitUsage
	case errors.As(err, &usage):
		return m.misused(stderr, parsed, err)
	}
	fmt.Fprintf(stderr, "parola: %s\n", printableLines(err.Error()))
	return exitFailed
}

// misused says what was wrong with the command line and where to read how it is right.
func (m Main) misused(stderr io.Writer, parsed *kong.Context, err error) int {
	command := ""
	var parseError *kong.ParseError
	if errors.As(err, &parseError) && parsed == nil {
		parsed = parseError.Context
	}
	if parsed != nil && parsed.Selected() != nil {
		command = " " + parsed.Selected().Path()
	}
	fmt.Fprintf(stderr, "parola: %s\nparola: see `parola%s --help`\n", printableLines(err.Error()), command)
	return exitUsage
}

// usageError is a mistake in the command line that kong's tags cannot express.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misuse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// invocation is one run of a command: the world around it, which commands get as an argument.
type invocation struct {
	Main
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	configFile     string
}

// withBase opens the database for the length of fn.
func (c *invocation) withBase(fn func(ctx context.Context, b *app.Base) error) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	b, err := app.Open(c.ctx, config, c.options(config))
	if err != nil {
		return err
	}
	if err := fn(c.ctx, b); err != nil {
		b.Close()
		return err
	}
	if err := b.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}
