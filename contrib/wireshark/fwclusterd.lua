-- Wireshark dissector for the messages between members of a firewall cluster, see
-- fwclusterd-protocol(7). Headers are readable; payloads are sealed and shown as bytes.
--
-- Put it into Wireshark's plug-in folder, or: tshark -X lua_script:fwclusterd.lua

local PORT = 7067
local MAGIC = 0x46574331
local HEADER, TAG = 40, 16

local p_fwcl = Proto("fwcl", "Firewall cluster")

local types = {
	[1] = "hello", [2] = "challenge", [3] = "response", [4] = "goodbye", [5] = "query",
	[6] = "confirm", [7] = "not-home", [8] = "release", [9] = "forward", [10] = "yield",
}
local ciphers = { [0] = "ChaCha20-Poly1305", [1] = "AES-256-GCM" }

local f = p_fwcl.fields
f.magic = ProtoField.uint32("fwcl.magic", "Magic", base.HEX)
f.version = ProtoField.uint8("fwcl.version", "Version")
f.version_max = ProtoField.uint8("fwcl.version_max", "Highest version spoken")
f.type = ProtoField.uint8("fwcl.type", "Type", base.DEC, types)
f.key = ProtoField.uint8("fwcl.key", "Key id")
f.cluster = ProtoField.uint16("fwcl.cluster", "Cluster id")
f.node = ProtoField.uint16("fwcl.node", "Node id")
f.cipher = ProtoField.uint8("fwcl.cipher", "Cipher", base.DEC, ciphers)
f.reserved = ProtoField.uint8("fwcl.reserved", "Reserved")
f.length = ProtoField.uint16("fwcl.length", "Length")
f.boot = ProtoField.bytes("fwcl.boot", "Boot id")
f.counter = ProtoField.uint64("fwcl.counter", "Counter")
f.payload = ProtoField.bytes("fwcl.payload", "Sealed payload")
f.payload_length = ProtoField.uint16("fwcl.payload.length", "Sealed payload length")
f.tag = ProtoField.bytes("fwcl.tag", "Tag")

local e_length = ProtoExpert.new("fwcl.length.wrong", "Length differs from the datagram's",
	expert.group.MALFORMED, expert.severity.ERROR)
local e_version = ProtoExpert.new("fwcl.version.unknown", "Version not known to this dissector",
	expert.group.UNDECODED, expert.severity.WARN)
p_fwcl.experts = { e_length, e_version }

local function header(buf, tree)
	tree:add(f.magic, buf(0, 4))
	local version = tree:add(f.version, buf(4, 1))
	if buf(4, 1):uint() ~= 1 then
		version:add_proto_expert_info(e_version)
	end
	tree:add(f.version_max, buf(5, 1))
	tree:add(f.type, buf(6, 1))
	tree:add(f.key, buf(7, 1))
	tree:add(f.cluster, buf(8, 2))
	tree:add(f.node, buf(10, 2))
	tree:add(f.cipher, buf(12, 1))
	tree:add(f.reserved, buf(13, 1))
	local length = tree:add(f.length, buf(14, 2))
	if buf(14, 2):uint() ~= buf:len() then
		length:add_proto_expert_info(e_length)
	end
	tree:add(f.boot, buf(16, 16))
	tree:add(f.counter, buf(32, 8))
end

function p_fwcl.dissector(buf, pinfo, root)
	local size = buf:len()

	if size < HEADER + TAG or buf(0, 4):uint() ~= MAGIC then
		return 0
	end
	local tree = root:add(p_fwcl, buf())
	local name = types[buf(6, 1):uint()] or "unknown"
	local payload = size - HEADER - TAG

	pinfo.cols.protocol = "FWCL"
	pinfo.cols.info = string.format("%s from node %d, key %d, boot %s, counter %s, %d bytes sealed",
		name, buf(10, 2):uint(), buf(7, 1):uint(), tostring(buf(16, 4):bytes()),
		tostring(buf(32, 8):uint64()), payload)
	tree:append_text(", " .. name .. " from node " .. buf(10, 2):uint())
	header(buf, tree)
	tree:add(f.payload_length, payload):set_generated()
	if payload > 0 then
		tree:add(f.payload, buf(HEADER, payload))
	end
	tree:add(f.tag, buf(size - TAG, TAG))
	return size
end

DissectorTable.get("udp.port"):add(PORT, p_fwcl)
-- Other ports: anything that begins with the magic.
p_fwcl:register_heuristic("udp", function(buf, pinfo, root)
	return p_fwcl.dissector(buf, pinfo, root) > 0
end)
