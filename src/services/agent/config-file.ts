// The agent's configuration from its file.
import {type AgentConfig, parseAgentConfig} from '../../domain/agent/config.ts'
import {readNamed} from '../../net/file/text-file.ts'

/** @throws Failure `usage` for a file that cannot be read or is wrong, or that others could change. */
export const readAgentConfig = (path: string): AgentConfig =>
  parseAgentConfig(readNamed(path, 'want an agent.yaml; "gwswitch agent enroll" writes one', 'unchanged'), path)
