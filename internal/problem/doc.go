// Package problem writes errors of HTTP APIs as problem details (RFC 9457).
package problem
