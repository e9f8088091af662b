/** Filters as people write them: pcap-filter(7) from its beginning to its end, then combinations. All of them compile. */
export const EXPRESSIONS = `
ip
ip6
arp
rarp
tcp
udp
icmp
icmp6
sctp
igmp
igrp
pim
ah
esp
vrrp
carp
atalk
decnet
iso
stp
ipx
netbeui
lat
moprc
mopdl
aarp
llc
llc i
llc s
llc u
llc rr
llc xid
ether proto 0x0800
ether proto 0x88cc
ether proto \\ip
ether proto \\arp
ether proto 0x42
ether proto \\stp
ether proto \\ipx
ip proto 1
ip proto 47
ip proto \\tcp
ip proto \\icmp
ip6 proto 58
ip6 proto \\udp
ip6 proto 44
proto 17
proto \\sctp
ip protochain 6
ip protochain \\udp
ip6 protochain 6
ip6 protochain 58
ip6 protochain 17
protochain 6
protochain 17
protochain 58
host 10.0.0.1
host 192.168.1.10
host 8.8.8.8
host 1.2.3.4
src host 10.0.0.1
dst host 10.0.0.1
src or dst host 10.0.0.2
src and dst host 10.0.0.2
src 10.0.0.1
dst 224.0.0.251
ip host 10.0.1.7
ip src 10.0.1.7
ip dst 10.0.1.7
arp host 10.0.0.2
arp src host 10.0.0.2
arp dst host 10.0.0.2
rarp host 10.0.0.2
host 2001:db8::1
src host 2001:db8::1
dst host ff02::1
ip6 host fe80::1
ip6 src 2001:db8:1::5
host ::1
ether host 52:54:00:12:34:56
ether src 02:00:00:00:00:01
ether dst 02:00:00:00:00:01
ether src and dst 02:00:00:00:00:02
ether dst ff:ff:ff:ff:ff:ff
ether broadcast
broadcast
ether multicast
multicast
ip multicast
ip6 multicast
net 10.0.0.0/8
net 10.0.0.0/16
net 10.0.0.0/24
net 10
net 10.0
net 192.168.1
net 192.168.1.0 mask 255.255.255.0
net 172.16.0.0/12
net 0.0.0.0/0
src net 10.0.0.0/24
dst net 192.168.0.0/16
net 2001:db8::/32
net 2001:db8:1::/48
net fe80::/10
src net fe80::/64
dst net ff00::/8
ip6 net 2001:db8::/33
ip net 10.0.1.0/25
arp net 10.0.0.0/8
port 80
port 53
port http
port domain
src port 443
dst port 443
src or dst port 22
src and dst port 22
tcp port 22
tcp src port 80
tcp dst port 80
udp port 53
udp src port 123
udp dst port 4789
sctp port 80
port 65535
port 0
portrange 1-1023
portrange 20000-40000
src portrange 0-100
dst portrange 50-90
tcp portrange 20-25
udp dst portrange 5000-8080
less 60
less 64
greater 100
greater 1000
len > 60
len == 60
len != 60
len <= 74 and len >= 54
len > 100 and tcp
len & 1 = 1
vlan
vlan 100
vlan 7
vlan 4095
vlan and ip
vlan 100 and tcp port 80
vlan and vlan
vlan and vlan 200
vlan 1 and vlan 7
vlan and host 10.0.0.1
vlan and arp
not vlan
ip or (vlan and ip)
tcp port 22 or (vlan and tcp port 22)
(vlan 100 and ip) or (vlan and ip6)
vlan and not ip
mpls
mpls 1024
mpls 100000
mpls 1024 and ip
mpls and mpls 1024
mpls and mpls and ip
mpls and host 10.0.0.1
mpls and ip6
pppoes
pppoes 1
pppoes 0x39
pppoes and ip
pppoes and ip6
pppoes 1 and tcp
pppoed
geneve
geneve 1
ether[0] & 1 = 0 and ip[16] >= 224
ether[0] & 1 != 0
ether[12:2] = 0x0800
ether[12:2] > 1500
ether[6:4] = 0x02000000
ether[0:4] = 0xffffffff
ether[14] = 0x45
ether[1000] = 0
ether[59] = 0
ether[len - 1] = 0
ether[len - 4:4] > 0x80000000
ip[0] & 0xf != 5
ip[0] = 0x46
ip[1] & 0xfc == 0xb8
ip[2:2] > 100
ip[6:2] & 0x1fff = 0
ip[6:2] & 0x1fff != 0
ip[6] & 0x40 != 0
ip[6] & 0x20 != 0 and ip[6:2] & 0x1fff = 0
ip[8] < 64
ip[8] == 1
ip[9] = 6
ip[12:4] = 0x0a000001
ip[12:4] > ip[16:4]
ip[16:4] - ip[12:4] < 256
ip[ip[9]] = 0
ip[(ip[0] & 0xf) << 2] = 0
ip6[6] = 6
ip6[0] & 0x0f = 0x0b
ip6[7] > 64
ip6[4:2] < 40
ip6[40] = 128
ip6[8:4] = 0xfe800000
arp[6:2] = 1
arp[6:2] = 2
arp[14:4] = arp[24:4]
rarp[6:2] > 2
tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)
tcp[tcpflags] == tcp-syn
tcp[tcpflags] & tcp-rst != 0
tcp[tcpflags] & tcp-push != 0
tcp[tcpflags] & tcp-urg != 0
tcp[tcpflags] & (tcp-ece|tcp-cwr) != 0
tcp[13] = 2
tcp[13] & 7 != 0
tcp[0:2] = 80
tcp[0:2] < tcp[2:2]
tcp[4:4] > 0x80000000
tcp[14:2] < 4096
tcp[12] & 0xf0 > 0x50
tcp[(tcp[12:1] & 0xf0) >> 2:4] = 0x47455420
tcp[18:2] != 0
tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)
udp[4:2] > 20
udp[0:2] = udp[2:2]
udp[6:2] = 0
udp[8] = 0
udp[8:4] & 0xff = 3
udp[4:2] - 8 < 10
icmp[icmptype] = icmp-echo
icmp[icmptype] == icmp-echoreply
icmp[icmptype] = icmp-unreach
icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply
icmp[icmptype] = icmp-timxceed
icmp[icmptype] = icmp-redirect
icmp[icmpcode] = 4
icmp[0] = 3 and icmp[1] = 3
icmp[6:2] > 1000
icmp6[icmp6type] = icmp6-echo
icmp6[icmp6type] = icmp6-echoreply
icmp6[icmp6type] = icmp6-neighborsolicit
icmp6[icmp6type] = icmp6-routeradvert
icmp6[icmp6type] > 128
icmp6[1] = 0
igmp[0] = 0x16
ip[2:2] + 14 = len
ip[2:2] * 2 > 200
ip[2:2] / 4 = 15
ip[2:2] % 4 = 0
ip[2:2] / ip[1] > 10
ip[2:2] % ip[1] = 3
ip[2:2] / udp[9] > 10
ip[4:2] ^ 0x5555 > 0x8000
ip[4:2] | 0xff00 = 0xff3f
ip[12:4] << 8 = 0x00000100
ip[12:4] >> 24 = 10
ip[4:2] << ip[8] > 100
ip[4:2] >> ip[8] > 100
ip[12:4] >> (ip[8] & 31) = 1
-ip[0] & 0xff = 0xbb
ip[12:4] * ip[16:4] > 0x10000000
(ip[12:4] ^ ip[16:4]) & 0xffffff00 = 0
0 - ip[8] > 0xffffff00
ip[0] - 0x46 > 0x80000000
1 + 1 = 2
ip proto 6 and not port 22
not ip
not (ip or ip6 or arp)
! tcp
tcp or udp
tcp or udp or icmp or icmp6
ip and not tcp and not udp
ip && ! icmp
tcp || udp and port 53
(tcp or udp) and port 53
host 10.0.0.1 and host 10.0.0.2
host 10.0.0.1 and not host 10.0.0.2
host 10.0.0.1 or 10.0.0.2 or 10.0.1.7
host 10.0.0.1 and (port 80 or 443 or 8080)
src host 10.0.0.1 and dst port 80
not (src net 10.0.0.0/8 and dst net 10.0.0.0/8)
src net 10.0.0.0/8 and not dst net 10.0.0.0/8
tcp and src port 80 and dst portrange 1024-65535
udp port 67 or udp port 68
udp and (port 67 or port 68) and ether broadcast
arp or (icmp and host 10.0.0.1)
ip6 and udp and port 53
ip6 and not icmp6
ip6 or (ip and host 10.0.0.1)
tcp port 80 and tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & tcp-syn != 0 and not src and dst net 10.0.0.0/8
ether src 02:00:00:00:00:01 and not arp
ether host 52:54:00:12:34:56 and (ip or ip6)
not broadcast and not multicast
not ether dst ff:ff:ff:ff:ff:ff and not ether dst 01:00:5e:00:00:fb
ip multicast and not host 224.0.0.251
net 10.0.0.0/24 or net 192.168.1.0/24 and not port 22
(net 10.0.0.0/24 or net 192.168.1.0/24) and not port 22
icmp and greater 100
icmp or icmp6 and less 100
tcp and not (port 22 or port 80 or port 443)
(tcp port 80 or tcp port 443) and (host 10.0.0.1 or host 8.8.8.8)
ip and ip[6:2] & 0x3fff != 0
ip and ip[0] & 0xf > 5 and ip[20] = 0x94
udp and ip[8] = 1 and dst net 224.0.0.0/4
tcp[2:2] & 1 = 0 or udp[2:2] & 1 = 1
src port 80 or (dst port 80 and not src net 10.0.0.0/8) or icmp
ether proto 0x88cc or ether proto 0x888e or stp
not port 53 and not arp and not icmp6 and not stp
host 10.0.0.1 and port 80 or host 10.0.0.2 and port 443 or host 10.0.1.7 and port 22
tcp and (src net 10.0.0.0/24 or src net 172.16.0.0/12) and dst port 443 and tcp[13] & 2 != 0
ip[12:4] & 0xffffff00 = 0x0a000000 and ip[16:4] & 0xffff0000 = 0xc0a80000
(ip and udp and ip[6:2] & 0x1fff = 0 and udp[4:2] > 8) or (ip6 and ip6[6] = 17)
tcp and port 80 and port 443
src portrange 1-1023 and dst portrange 1024-65535 and net 10
host 10.0.0.1 and proto 17
dst host 10.0.0.1 and ip proto 1 and icmp[0] = 8
ip[20:2] = 0x0050
ether[20:2] & 0x1fff = 0 and ether[23] = 6
vlan and udp and greater 80
`
  .trim()
  .split('\n')
