package b2bua

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// SystemDNS asks the system's resolver for SRV and addresses, and the servers of
// /etc/resolv.conf for NAPTR, which the system's resolver does not know.
type SystemDNS struct {
	// Servers replaces those of /etc/resolv.conf for NAPTR.
	Servers []netip.AddrPort
}

// SRV implements Resolver.
func (SystemDNS) SRV(ctx context.Context, name string) ([]SRV, error) {
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
	if notThere(err) {
		return nil, nil
	}
	var out []SRV
	for _, r := range records {
		out = append(out, SRV{Priority: r.Priority, Weight: r.Weight, Port: r.Port, Target: r.Target})
	}
	return out, err
}

// Addrs implements Resolver.
func (SystemDNS) Addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if notThere(err) {
		return nil, nil
	}
	return addrs, err
}

func notThere(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// dnsTime bounds one question to one server.
const dnsTime = 2 * time.Second

// NAPTR implements Resolver.
func (s SystemDNS) NAPTR(ctx context.Context, name string) ([]NAPTR, error) {
	servers := s.Servers
	if len(servers) == 0 {
		servers = nameservers("/etc/resolv.conf")
	}
	failed := errors.New("sip: no name server")
	for _, server := range servers {
		out, err := askNAPTR(ctx, server, name)
		if err == nil {
			return out, nil
		}
		failed = err
	}
	return nil, failed
}

// nameservers reads the servers of a resolv.conf.
func nameservers(path string) []netip.AddrPort {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []netip.AddrPort
	for lines := bufio.NewScanner(io.LimitReader(f, 64<<10)); lines.Scan() && len(out) < 3; {
		words := strings.Fields(lines.Text())
		if len(words) >= 2 && words[0] == "nameserver" {
			if a, err := netip.ParseAddr(words[1]); err == nil {
				out = append(out, netip.AddrPortFrom(a, 53))
			}
		}
	}
	return out
}

// typeNAPTR is its RRTYPE (RFC 3403, section 4).
const typeNAPTR dnsmessage.Type = 35

// askNAPTR asks one server over UDP, and over TCP when the answer was cut.
func askNAPTR(ctx context.Context, server netip.AddrPort, name string) ([]NAPTR, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	query, id, err := naptrQuery(name)
	if err != nil {
		return nil, err
	}
	for _, network := range []string{"udp", "tcp"} {
		raw, err := exchange(ctx, network, server, query)
		if err != nil {
			return nil, err
		}
		out, cut, err := readNAPTR(raw, id, name)
		if err != nil || !cut {
			return out, err
		}
	}
	return nil, errors.New("sip: DNS: the answer over TCP was cut")
}

func naptrQuery(name string) ([]byte, uint16, error) {
	q, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, 0, err
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	id := binary.BigEndian.Uint16(b[:])
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: q, Type: typeNAPTR, Class: dnsmessage.ClassINET}}}
	raw, err := m.Pack()
	return raw, id, err
}

// exchange sends a query and returns what comes back from the server's address.
func exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	_ = c.SetDeadline(end)
	if network == "udp" {
		if _, err := c.Write(query); err != nil {
			return nil, err
		}
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		return buf[:n], err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err = io.ReadFull(c, buf)
	return buf, err
}

// readNAPTR reads an answer to the question with id about name. cut says that it
// did not fit a datagram.
func readNAPTR(raw []byte, id uint16, name string) (out []NAPTR, cut bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil {
		return nil, false, err
	}
	q, err := p.Question()
	if err != nil || h.ID != id || !h.Response || q.Type != typeNAPTR || !strings.EqualFold(strings.TrimSuffix(q.Name.String(), "."), strings.TrimSuffix(name, ".")) {
		return nil, false, errors.New("sip: DNS: the answer is to another question")
	}
	if h.Truncated {
		return nil, true, nil
	}
	if h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError {
		return nil, false, fmt.Errorf("sip: DNS: %v", h.RCode)
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, false, err
	}
	for len(out) < 32 {
		rh, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return nil, false, err
		}
		if rh.Type != typeNAPTR {
			if err := p.SkipAnswer(); err != nil {
				return nil, false, err
			}
			continue
		}
		r, err := p.UnknownResource()
		if err != nil {
			return nil, false, err
		}
		if n, ok := parseNAPTR(r.Data); ok {
			out = append(out, n)
		}
	}
	return out, false, nil
}

// parseNAPTR reads the data of one record (RFC 3403, section 4.1). Its
// replacement is never compressed.
func parseNAPTR(b []byte) (n NAPTR, ok bool) {
	if len(b) < 4 {
		return n, false
	}
	n.Order, n.Preference = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	b = b[4:]
	for _, text := range []*string{&n.Flags, &n.Service, &n.Regexp} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return n, false
		}
		*text, b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	}
	for len(b) > 0 && b[0] != 0 {
		size := int(b[0])
		if size > 63 || len(b) < 1+size || len(n.Replacement) > 253 {
			return n, false
		}
		n.Replacement += string(b[1:1+size]) + "."
		b = b[1+size:]
	}
	return n, len(b) == 1
}
