package announce

import (
	"net/netip"
	"testing"
)

// A webhook's address is judged as it is dialled: whatever name, redirection of
// a name, or notation led there.
func TestWebhookDialsPublicAddressesOnly(t *testing.T) {
	for address, ok := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "172.32.0.1:443": true, "100.128.0.1:443": true, "[::ffff:8.8.8.8]:443": true,
		"127.0.0.1:443": false, "127.8.9.10:443": false, "[::1]:443": false, "[::ffff:127.0.0.1]:443": false, "[::127.0.0.1]:443": false,
		"0.0.0.0:443": false, "0.1.2.3:443": false, "[::]:443": false, "10.0.0.1:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"[::ffff:10.0.0.1]:443": false, "100.64.0.1:443": false, "169.254.169.254:443": false, "[fd00:ec2::254]:443": false, "[fe80::1]:443": false,
		"[fe80::1%eth0]:443": false, "[fec0::1]:443": false, "[fd12::1]:443": false, "224.0.0.1:443": false, "[ff02::1]:443": false,
		"255.255.255.255:443": false, "240.0.0.1:443": false, "198.18.0.1:443": false, "192.0.2.1:443": false, "198.51.100.1:443": false,
		"203.0.113.1:443": false, "[2001:db8::1]:443": false, "192.0.0.8:443": false, "192.88.99.1:443": false, "[64:ff9b::a00:1]:443": false,
		"[64:ff9b:1::1]:443": false, "[2002:7f00:1::]:443": false, "[2001:0:1::1]:443": false, "[100::1]:443": false,
		"hook.example.org:443": false, "2130706433:443": false, "0x7f000001:443": false, "": false, "8.8.8.8": false,
	} {
		if err := (Endpoint{}).mayDial(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
	own := Endpoint{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for address, ok := range map[string]bool{"10.1.2.3:443": true, "[::ffff:10.1.2.3]:443": true, "10.2.0.1:443": false, "127.0.0.1:443": false} {
		if err := own.mayDial(address); (err == nil) != ok {
			t.Errorf("with a network of its own, %q: %v", address, err)
		}
	}
}
