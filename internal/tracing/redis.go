package tracing

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Redis makes a span of each command and pipeline of a client; give it to the client's AddHook. Of a command it tells the
// name, never a key or a value.
func (t *Tracer) Redis() redis.Hook { return redisHook{t} }

type redisHook struct{ t *Tracer }

// DialHook implements [redis.Hook].
func (h redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, span := h.t.child(ctx, spanRedisConnect, semconv.DBSystemNameRedis)
		conn, err := next(ctx, network, addr)
		end(span, err)
		return conn, err
	}
}

// ProcessHook implements [redis.Hook].
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !trace.SpanFromContext(withPass(ctx)).IsRecording() {
			return next(ctx, cmd)
		}
		ctx, span := h.begin(ctx, strings.ToUpper(cmd.Name()))
		err := next(ctx, cmd)
		endRedis(span, err)
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !trace.SpanFromContext(withPass(ctx)).IsRecording() {
			return next(ctx, cmds)
		}
		ctx, span := h.begin(ctx, pipelineName(cmds))
		if len(cmds) > 1 { // by the conventions a batch of one has no size
			span.SetAttributes(semconv.DBOperationBatchSize(len(cmds)))
		}
		err := next(ctx, cmds)
		endRedis(span, err)
		return err
	}
}

// pipelineName is "PIPELINE" and the different commands in it.
func pipelineName(cmds []redis.Cmder) string {
	name, seen := "PIPELINE", map[string]bool{}
	for _, cmd := range cmds {
		if word := strings.ToUpper(cmd.Name()); !seen[word] {
			seen[word] = true
			name += " " + word
		}
	}
	return name
}

func (h redisHook) begin(ctx context.Context, command string) (context.Context, trace.Span) {
	return h.t.tracer.Start(withPass(ctx), command, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.DBSystemNameRedis, semconv.DBOperationName(command)))
}

// endRedis tells what Redis has answered, without the text of an error: it may quote a key.
func endRedis(span trace.Span, err error) {
	var answered redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
	case errors.As(err, &answered): // a reply such as "NOSCRIPT No matching script"
		word, _, _ := strings.Cut(answered.Error(), " ")
		if word == strings.ToUpper(word) {
			span.SetAttributes(semconv.DBResponseStatusCode(word), semconv.ErrorTypeKey.String(word))
			span.SetStatus(codes.Error, "")
			break
		}
		fallthrough
	default:
		end(span, err)
		return
	}
	span.End()
}
