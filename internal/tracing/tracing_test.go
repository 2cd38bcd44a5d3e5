package tracing_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/parola-id/parola/internal/tracing"
)

const (
	saved   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	foreign = "00-11111111111111111111111111111111-2222222222222222-01"
)

// recorder is a tracer and what it has recorded, by name.
func recorder(ratio float64) (*tracing.Tracer, func() map[string]tracetest.SpanStub) {
	spans := tracetest.NewInMemoryExporter()
	p := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithIDGenerator(tracing.IDs{}),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(ratio))))
	return tracing.New(p), func() map[string]tracetest.SpanStub {
		byName := map[string]tracetest.SpanStub{}
		for _, s := range spans.GetSpans() {
			byName[s.Name] = s
		}
		return byName
	}
}

func begin(t *tracing.Tracer, incoming string) (context.Context, *tracing.Span) {
	return t.Request(context.Background(), http.MethodGet, incoming, time.Now())
}

func TestRequestIsAPartOfWhatItTurnsOutToBe(t *testing.T) {
	for name, c := range map[string]struct {
		incoming string
		join     func(context.Context)
		// The trace and parent that the span must have, and what it must link to.
		trace, parent, link string
	}{
		"a login that a record keeps": {
			join:  func(ctx context.Context) { tracing.Join(ctx, saved) },
			trace: saved[3:35], parent: saved[36:52]},
		"what a proxy began": {incoming: foreign, trace: foreign[3:35], parent: foreign[36:52]},
		"a login, through a proxy that began a trace for each request": {incoming: foreign,
			join:  func(ctx context.Context) { tracing.Join(ctx, saved) },
			trace: saved[3:35], parent: saved[36:52], link: foreign[3:35]},
		"a login that the proxy knows": {incoming: saved[:36] + "9999999999999999-01",
			join:  func(ctx context.Context) { tracing.Join(ctx, saved) },
			trace: saved[3:35], parent: "9999999999999999"},
		"a login that is known too late": {incoming: foreign,
			join:  func(ctx context.Context) { tracing.ID(ctx); tracing.Join(ctx, saved) },
			trace: foreign[3:35], parent: foreign[36:52], link: saved[3:35]},
		"a record that keeps no trace": {incoming: foreign,
			join:  func(ctx context.Context) { tracing.Join(ctx, ""); tracing.Join(ctx, "nonsense") },
			trace: foreign[3:35], parent: foreign[36:52]},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, recorded := recorder(1)
			ctx, span := begin(tracer, c.incoming)
			if c.join != nil {
				c.join(ctx)
			}
			if id := tracing.ID(ctx); id != c.trace {
				t.Errorf("trace %s, want %s", id, c.trace)
			}
			span.Answered("/login", http.StatusOK, "k")
			got := recorded()["GET /login"]
			if got.SpanContext.TraceID().String() != c.trace || got.Parent.SpanID().String() != c.parent {
				t.Errorf("span of trace %s below %s, want %s below %s", got.SpanContext.TraceID(), got.Parent.SpanID(), c.trace, c.parent)
			}
			link := ""
			if len(got.Links) == 1 {
				link = got.Links[0].SpanContext.TraceID().String()
			}
			if link != c.link {
				t.Errorf("links %v, want %q", got.Links, c.link)
			}
		})
	}
}

func TestRequestBeginsATraceOfItsOwn(t *testing.T) {
	tracer, recorded := recorder(1)
	ctx, span := begin(tracer, "")
	kept := tracing.Parent(ctx)
	span.Answered("/authorize", http.StatusServiceUnavailable, "k")
	got := recorded()["GET /authorize"]
	if !tracing.Valid(kept) || got.SpanContext.TraceID().String() != tracing.IDOf(kept) || got.Parent.IsValid() {
		t.Errorf("kept %q of the span %+v", kept, got.SpanContext)
	}
	if got.Status.Code.String() != "Error" {
		t.Errorf("an outage is recorded as %v", got.Status)
	}
}

func TestSpanBearsWhatOthersWereToldAhead(t *testing.T) {
	tracer, recorded := recorder(1)
	ahead := tracing.Ahead(saved)
	if tracing.IDOf(ahead) != tracing.IDOf(saved) || ahead == saved {
		t.Fatalf("ahead %q of %q", ahead, saved)
	}
	for name, w := range map[string]tracing.Work{
		"first": {Parent: saved, As: ahead, Call: true},
		"retry": {Parent: ahead, Call: true},
		"news":  {Parent: ahead, Cause: foreign},
	} {
		w.Name = name
		_, span := tracer.Start(context.Background(), w)
		span.End()
	}
	spans := recorded()
	if first := spans["first"]; first.SpanContext.SpanID().String() != ahead[36:52] || first.Parent.SpanID().String() != saved[36:52] {
		t.Errorf("first call: %+v", first.SpanContext)
	}
	for _, name := range []string{"retry", "news"} {
		if s := spans[name]; s.Parent.SpanID().String() != ahead[36:52] || s.SpanContext.SpanID() == s.Parent.SpanID() {
			t.Errorf("%s: %+v below %+v", name, s.SpanContext, s.Parent)
		}
	}
	if links := spans["news"].Links; len(links) != 1 || links[0].SpanContext.TraceID().String() != foreign[3:35] {
		t.Errorf("news link %v", links)
	}
}

func TestTraceIsRecordedWholeOrNotAtAll(t *testing.T) {
	tracer, recorded := recorder(0)
	ctx, request := begin(tracer, "")
	kept := tracing.Parent(ctx)
	_, child := tracing.Start(ctx, "child")
	child.End()
	request.Answered("/authorize", http.StatusOK, "k")
	other, _ := recorder(1) // another node, which would record everything
	_, later := other.Start(context.Background(), tracing.Work{Name: "later", Parent: kept})
	later.End()
	if len(recorded()) != 0 || !tracing.Valid(kept) || kept[53:] != "00" {
		t.Errorf("recorded %v; kept %q", recorded(), kept)
	}
	_, later = other.Start(context.Background(), tracing.Work{Name: "later", Parent: saved})
	later.End()
}

func TestWithoutATracerTheProxysTraceIsStillTold(t *testing.T) {
	var none *tracing.Tracer
	ctx, span := begin(none, foreign)
	if tracing.ID(ctx) != foreign[3:35] || tracing.Parent(ctx) != foreign {
		t.Errorf("trace %s, parent %s", tracing.ID(ctx), tracing.Parent(ctx))
	}
	_, child := tracing.Start(ctx, "child")
	child.Set("a", "b")
	child.End()
	span.Answered("/login", http.StatusOK, "k")
}

func TestOffAllocatesNothing(t *testing.T) {
	var none *tracing.Tracer
	outer := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		ctx, request := none.Request(outer, http.MethodGet, "", time.Time{})
		tracing.Join(ctx, "")
		_, span := tracing.Start(ctx, "check password")
		span.Set("parola.channel", "sms")
		span.End()
		_, call := none.Start(ctx, tracing.Work{Name: "send passcode", Call: true})
		call.Fail("refused")
		call.End()
		if tracing.ID(ctx)+tracing.Parent(ctx)+tracing.Ahead("")+tracing.IDOf("") != "" {
			t.Fatal("there is a trace")
		}
		request.Answered("/login", http.StatusOK, "")
	}); n != 0 {
		t.Errorf("tracing that is off allocates %v times for a request", n)
	}
}

func TestTraceparentIsReadStrictly(t *testing.T) {
	for text, want := range map[string]bool{
		saved:             true,
		saved[:53] + "00": true,
		"":                false,
		"01" + saved[2:]:  false, // a version that nobody knows yet
		saved + "-extra":  false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz": false,
	} {
		if tracing.Valid(text) != want {
			t.Errorf("%q: taken %v", text, !want)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(saved)
	f.Fuzz(func(t *testing.T, text string) {
		ctx, _ := (*tracing.Tracer)(nil).Request(context.Background(), http.MethodGet, text, time.Time{})
		if kept := tracing.Parent(ctx); kept != "" && (len(kept) != 55 || kept[:53] != text[:53]) {
			t.Errorf("%q is kept as %q", text, kept)
		}
	})
}
