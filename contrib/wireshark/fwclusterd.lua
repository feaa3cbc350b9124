-- Wireshark dissector for the messages between members of a firewall cluster, see
-- fwclusterd-protocol(7). Headers are readable; payloads are sealed and shown as bytes. And for the
-- TCP option by which a dispatcher tells the next stage the path of a flow: filter fwclpath.
--
-- Put it into Wireshark's plug-in folder, or: tshark -X lua_script:fwclusterd.lua

local PORT = 7067
local MAGIC = 0x46574331
local HEADER, TAG = 40, 16

local p_fwcl = Proto("fwcl", "Firewall cluster")

local types = {
	[1] = "hello", [2] = "challenge", [3] = "response", [4] = "goodbye", [5] = "query",
	[6] = "confirm", [7] = "not-home", [8] = "release", [9] = "forward", [10] = "yield",
	[11] = "path", [12] = "path-ask", [13] = "targets",
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

-- The path option. Wireshark knows the kind, but not our number in it, so it is looked for behind
-- the TCP dissector.
local KIND, EXID = 253, 0x4657
local p_path = Proto("fwclpath", "Firewall cluster: path option")

p_path.fields.exid = ProtoField.uint16("fwclpath.exid", "ExID", base.HEX)
p_path.fields.id = ProtoField.uint16("fwclpath.id", "Path id")
local e_path_length = ProtoExpert.new("fwclpath.length.wrong", "Path option without value",
	expert.group.MALFORMED, expert.severity.WARN)
local e_path_flow = ProtoExpert.new("fwclpath.no_syn", "Path option in a packet without SYN",
	expert.group.PROTOCOL, expert.severity.WARN)
p_path.experts = { e_path_length, e_path_flow }

local tcp_options = Field.new("tcp.options")
local tcp_syn = Field.new("tcp.flags.syn")

local function path_option(option, syn, root)
	local tree = root:add(p_path, option)

	if not syn.value then
		tree:add_proto_expert_info(e_path_flow)
	end
	tree:add(p_path.fields.exid, option(2, 2))
	if option:len() == 6 then
		tree:add(p_path.fields.id, option(4, 2))
		tree:append_text(", path " .. option(4, 2):uint())
	else
		tree:add_proto_expert_info(e_path_length)
	end
end

function p_path.dissector(_, _, root)
	local syns = { tcp_syn() }

	for n, options in ipairs({ tcp_options() }) do
		local buf = options.range
		local at = 0

		while at < buf:len() and buf(at, 1):uint() ~= 0 do
			local kind = buf(at, 1):uint()
			local size = 1
			if kind ~= 1 then
				if at + 2 > buf:len() then
					break
				end
				size = buf(at + 1, 1):uint()
			end
			if size == 0 or at + size > buf:len() then
				break
			end
			if kind == KIND and size >= 4 and buf(at + 2, 2):uint() == EXID then
				path_option(buf(at, size), syns[n], root)
			end
			at = at + size
		end
	end
end

register_postdissector(p_path)
